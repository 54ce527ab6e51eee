"""`llmtop -- COMMAND...`: runs a command under the screen and ends with its exit code."""

from __future__ import annotations

import argparse
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from llmtop.cli.say import say
from llmtop.clock import SystemClock
from llmtop.errors import UsageError
from llmtop.formats.table import load_table
from llmtop.sources.command import Command

PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)
"""Signals that mean nothing to llmtop: schedulers ask for a checkpoint with them."""
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end llmtop, which takes the command with it: in a session of its own it gets none
of them. A screen takes them itself."""
STDERR = 2


class Ended(BaseException):
    """A signal ended llmtop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_command(options: argparse.Namespace) -> int:
    """Run the command with the screen, or without one to its end; return its exit code.

    Raises:
        UsageError: there is no such command.
    """
    if not options.command:
        raise UsageError("--: name a command, as in `llmtop -- python train.py`")
    plain = options.once or options.json
    table = load_table(options.format)
    command = Command(
        options.command, clock=SystemClock(), table=table, echo=STDERR if plain else None
    )
    options.sources = [command]
    ended_by = 0
    with _passing_on(command):
        try:
            if plain:
                from llmtop.cli.snapshot import run_snapshot

                options.wait = math.inf
                with _ended_by_signals():
                    run_snapshot(options)
            else:
                from llmtop.cli.watch import run_watch

                shown = run_watch(options)
                ended_by = shown - 128 if shown > 128 else 0
        except KeyboardInterrupt:
            ended_by = signal.SIGINT
        except Ended as ended:
            ended_by = ended.number
        finally:
            if command.exit_code is None:
                # The terminal may be gone; the command is to end all the same.
                with suppress(OSError):
                    say(f"ending {command.name}")
            code = command.finish(ended_by or signal.SIGINT)
    return code


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Raise Ended at the first of the signals that end llmtop; under nohup, one is ignored."""
    ended = False

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        for one in taken:
            # Ending the command takes its time, which a second signal must not cut short.
            signal.signal(one, signal.SIG_IGN)
        raise Ended(number)

    taken = [one for one in ENDING if signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in taken}
    try:
        yield
    finally:
        if not ended:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _passing_on(command: Command) -> Iterator[None]:
    def send(number: int, _frame: FrameType | None) -> None:
        command.send(number)

    before = {number: signal.signal(number, send) for number in PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
