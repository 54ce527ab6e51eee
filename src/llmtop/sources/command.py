"""The source for a command that llmtop runs: its output line by line, its end, its exit code."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from llmtop.clock import Clock
from llmtop.errors import UsageError
from llmtop.formats.table import Table
from llmtop.samples import Batch
from llmtop.sources.logs import Log
from llmtop.sources.pipe import POLL_SECONDS, Printed, ended, read_or_end, readable

ROWS, COLUMNS = 50, 200
"""Size of the terminal that the command sees: wide, so that nothing wraps its lines."""
GRACE_SECONDS = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0))
"""What a command is told when llmtop ends, and how long it has to obey: a trainer writes a last
checkpoint after SIGINT or SIGTERM."""
INTERPRETED = (".py", ".sh")


class Command:
    """Runs a command and reads what it prints."""

    def __init__(self, arguments: Sequence[str], *, clock: Clock, table: Table,
                 echo: int | None = None) -> None:
        """Take the command; `echo`: a descriptor that its output is copied to.

        Raises:
            UsageError: there is no such command.
        """
        self.arguments = list(arguments)
        self.name = run_name(arguments)
        self._clock, self._table, self._echo = clock, table, echo
        self._process: subprocess.Popen[bytes] | None = None
        self._fd = -1
        self._over = False
        self._start()

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, 128 + N after signal N; None while it runs."""
        code = None if self._process is None else self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    @property
    def pid(self) -> int:
        """Its process, and its process group."""
        return 0 if self._process is None else self._process.pid

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what the command prints until it has ended."""
        if self._over:
            return
        yield Batch()
        printed = self._printed
        printed.introduce()
        while not stop.is_set():
            printed.turn(self._echo)
            if (batch := printed.collector.batch(self._clock.time())) is not None:
                yield batch
            # A grandchild may hold the terminal open for ever; the command's own end counts.
            if printed.ended or (self.exit_code is not None and printed.quiet):
                break
        if stop.is_set():
            return
        while (code := self.exit_code) is None and not stop.wait(POLL_SECONDS):
            continue
        if code is None:
            return
        self._over = True
        error = "" if code == 0 else (printed.last_error() or describe(code))
        yield ended(printed, self._clock.time(), error)

    def send(self, number: int) -> None:
        """Pass a signal on to the command and its children."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def finish(self, first: int = signal.SIGINT) -> int:
        """End the command, politely first, and return its exit code.

        Args:
            first: the signal llmtop itself was ended by.
        """
        for number, seconds in GRACE_SECONDS:
            if self.exit_code is not None:
                break
            self.send(first if number is signal.SIGINT else number)
            deadline = self._clock.monotonic() + seconds
            while self.exit_code is None and self._clock.monotonic() < deadline:
                self._drain()
        code = self.exit_code
        return 128 + signal.SIGKILL if code is None else code

    def _start(self) -> None:
        ours, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            self._process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                start_new_session=True,
            )
        except OSError as error:
            os.close(ours)
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"cannot run {self.arguments[0]!r}: {reason}") from None
        finally:
            os.close(theirs)
        self._fd = ours
        log = Log("command", self.name, "command")
        log.host, log.pid, log.started = socket.gethostname(), self.pid, self._clock.time()
        self._printed = Printed(ours, log, self._table, self._clock)

    def _drain(self) -> None:
        """Read on while the command ends: it must not be stuck in writing its last words."""
        if readable(self._fd, POLL_SECONDS) and not read_or_end(self._fd):
            threading.Event().wait(POLL_SECONDS)


def run_name(arguments: Sequence[str]) -> str:
    """Return what a command's run is called: its script, else the program."""
    for word in arguments:
        if word.endswith(INTERPRETED):
            return Path(word).stem
    return Path(arguments[0]).name


def describe(code: int) -> str:
    """Return an exit code in words."""
    if code > 128:
        with suppress(ValueError):
            return f"killed by {signal.Signals(code - 128).name}"
    return f"exit code {code}"
