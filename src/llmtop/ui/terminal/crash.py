"""Running the app so that however it ends, the terminal is whole and the exit code true."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from io import StringIO
from types import FrameType
from typing import Any

from rich.console import Console
from textual.app import App

from llmtop.errors import LlmtopError
from llmtop.ui.terminal.files import Terminal

DEBUG_VARIABLE = "LLMTOP_DEBUG"
MISUSE_CODE = 2
CRASH_CODE = 1
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
REPORT_WIDTH = 100
"""Columns of an error report that Textual renders itself: what fits a mail or an issue."""


def run_app(make_app: Callable[[], App[Any]], environ: Mapping[str, str] = os.environ) -> int:
    """Make the app, run it, and return the process's exit code.

    0 after a quit, 1 after a crash (the reason is on stderr, the traceback in a file or, with
    LLMTOP_DEBUG=1, on stderr), 2 for a mistake a person can fix, 128 + N after signal N.
    """
    try:
        terminal = Terminal()
    except LlmtopError as error:
        _say(str(error))
        return MISUSE_CODE
    report = StringIO()
    failure: BaseException | None = None
    app: App[Any] | None = None
    caught: list[int] = []
    try:
        app = make_app()
        app.terminal = terminal  # type: ignore[attr-defined]  # for the driver
        # Textual prints what ended the app to this console: kept until the terminal is whole.
        app.error_console = Console(file=report, width=REPORT_WIDTH, markup=False, highlight=False)
        asyncio.run(_run(app, caught))
        failure = app._exception
    except BaseException as error:
        failure = error
    finally:
        terminal.restore()
        terminal.close()
    if isinstance(failure, LlmtopError):
        _say(str(failure))
        return MISUSE_CODE
    if isinstance(failure, SystemExit) and isinstance(failure.code, int):
        return failure.code
    if caught:
        return 128 + caught[0]
    if failure is not None:
        lines = "".join(traceback.format_exception(failure))
        return _crashed(f"{type(failure).__name__}: {failure}", lines, environ)
    text = report.getvalue().strip()
    code = None if app is None else app.return_code
    if code is None:
        return _crashed(text.splitlines()[-1] if text else "it ended by itself", text, environ)
    if text:
        print(text, file=sys.stderr)  # noqa: T201
    return code


async def _run(app: App[Any], caught: list[int]) -> None:
    """Run the app to its end, ending it at the first signal that asks for it."""
    loop = asyncio.get_running_loop()

    def end(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            # The app did not end at the first one: it hangs.
            raise SystemExit(128 + number)
        loop.call_soon_threadsafe(lambda: app.exit(return_code=128 + number))

    before = {number: signal.signal(number, end) for number in ENDING_SIGNALS}
    try:
        await app.run_async()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _crashed(reason: str, details: str, environ: Mapping[str, str]) -> int:
    """Say why in two lines, and put the details where they can be found."""
    lines = reason.strip().splitlines()
    _say(f"stopped by an error: {lines[0] if lines else 'unknown'}")
    if environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        print(details, file=sys.stderr)  # noqa: T201
        return CRASH_CODE
    try:
        fd, path = tempfile.mkstemp(prefix="llmtop-crash-", suffix=".txt")
        with open(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(details)
    except OSError:
        print(f"  {DEBUG_VARIABLE}=1 prints the traceback", file=sys.stderr)  # noqa: T201
    else:
        print(f"  traceback in {path} ({DEBUG_VARIABLE}=1 prints it)", file=sys.stderr)  # noqa: T201
    return CRASH_CODE


def _say(text: str) -> None:
    print(f"llmtop: {text}", file=sys.stderr)  # noqa: T201
