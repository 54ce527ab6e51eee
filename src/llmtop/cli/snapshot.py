"""`llmtop --once` and `llmtop --json`: what is known now, without a screen."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmtop.cli.say import say
from llmtop.cli.watch import build_engine

if TYPE_CHECKING:
    from llmtop.engine import Engine
    from llmtop.store import Store

EXIT_NO_SOURCE = 1
HARDWARE = "hardware"
"""The source that always can be read: it does not make up for the others."""
LOOK_SECONDS = 0.1
"""Between two looks whether what is waited for has come."""


def run_snapshot(
    options: argparse.Namespace, enough: Callable[[Store], bool] | None = None
) -> int:
    """Read the sources to their present end, print, and return 0; 1 if none could be read.

    Args:
        options: of the command line.
        enough: what is to be there before anything is printed, within the time there is.
    """
    from llmtop.text import render_json, render_text

    engine = build_engine(options)
    deadline = engine.clock.monotonic() + options.wait
    engine.start()
    try:
        caught_up = engine.wait_caught_up(options.wait)
        while enough is not None and not enough(engine.store):
            left = deadline - engine.clock.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, LOOK_SECONDS))
            engine.wait_caught_up(0.0)
        if options.json:
            text = render_json(engine.store, (*engine.alerts.active, *engine.alerts.history))
        else:
            width = shutil.get_terminal_size((120, 40)).columns
            named = options.source or [one.name for one in options.sources or ()]
            text = render_text(
                engine.store, engine.clock.time(), width, engine.alerts.active, named)
    finally:
        engine.stop()
    _complain(engine, caught_up, options.wait)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the locale cannot spell becomes "?": a snapshot must not end in a traceback.
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()
    lost = [state.state in ("lost", "retrying") for state in engine.source_states
            if state.name != HARDWARE]
    return EXIT_NO_SOURCE if all(lost) else 0


def _complain(engine: Engine, caught_up: bool, wait: float) -> None:
    """Say on stderr which sources could not be read, or not to their end."""
    for source in engine.source_states:
        if source.reason:
            say(f"{source.name}: {source.reason}")
        elif source.status:
            say(source.status)
    if not caught_up:
        say(f"not everything was read within {wait:g} s; --wait gives it longer")
