"""The source for a pipe: what another program prints, from when llmtop was started with it."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace

from llmtop.clock import Clock
from llmtop.errors import UsageError
from llmtop.formats.table import Table
from llmtop.samples import Batch, EndReason, RunEnd
from llmtop.sources.collect import Collector
from llmtop.sources.logs import Log
from llmtop.sources.textlog import TextLog

CHUNK_BYTES = 1 << 18
"""Read at once: four times what a Linux pipe holds."""
POLL_SECONDS = 0.1
"""How late `stop` is seen, and quiet."""
HEARTBEAT_SECONDS = 3.0
"""A pipe whose other end is open is a program that lives: it is said so this often."""


class Printed:
    """Reads what a program prints to a descriptor, as one run."""

    def __init__(self, fd: int, log: Log, table: Table, clock: Clock) -> None:
        self.fd, self.log = fd, log
        self.collector = Collector()
        self._text = TextLog(log, table, self.collector)
        self._clock = clock
        self._began = self._grew = log.started = clock.time()
        self._heard = float("-inf")
        self.ended = False
        """The other end is closed."""
        self.quiet = False
        """Nothing was printed at the last turn."""
        self._deaf = False
        """Nobody reads the echo any more."""

    def introduce(self) -> None:
        """Make the run known before it has printed a metric."""
        self.log.exact_name = True
        self.collector.session(self.log, "", None, None)

    def turn(self, echo: int | None = None) -> None:
        """Wait a moment for something to be printed, and read it; `echo`: print it there too."""
        ready = readable(self.fd, POLL_SECONDS)
        now, mono = self._clock.time(), self._clock.monotonic()
        self.quiet = not ready
        if ready:
            data = read_or_end(self.fd)
            self.ended = not data
            if data:
                self._grew = now
                self._text.feed(data, now)
                if echo is not None and not self._deaf:
                    self._deaf = not write_all(echo, data)
        else:
            self._text.rest(now, age=now - self._began, quiet=now - self._grew)
        if mono - self._heard >= HEARTBEAT_SECONDS:
            self._heard = mono
            self._text.rest(now, age=now - self._began, quiet=0.0)
            self.collector.hear(self.log)

    def finish(self) -> None:
        """Read what is held back."""
        self._text.end(self._clock.time())

    def last_error(self) -> str:
        """Return the error that was printed last of all, "" if something else was."""
        return self._text.last_error


class Pipe:
    """`python train.py 2>&1 | llmtop -`."""

    name = "stdin"

    def __init__(self, *, clock: Clock, table: Table, fd: int = 0) -> None:
        """Take over `fd`, stdin: the terminal's keys are read elsewhere.

        Raises:
            UsageError: it is a terminal or closed.
        """
        try:
            own = os.dup(fd)
        except OSError:
            raise UsageError("-: stdin is closed; write `command 2>&1 | llmtop -`") from None
        if os.isatty(own) or stat.S_ISDIR(os.fstat(own).st_mode):
            raise UsageError("-: stdin is no pipe; write `command 2>&1 | llmtop -`")
        self._clock, self._over = clock, False
        self._printed = Printed(own, Log("stdin", "stdin", "pipe"), table, clock)

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what is printed until the other end is closed."""
        printed = self._printed
        if self._over:
            return
        yield Batch()
        printed.introduce()
        while not (stop.is_set() or printed.ended):
            printed.turn()
            if (batch := printed.collector.batch(self._clock.time())) is not None:
                yield batch
        if printed.ended:
            self._over = True
            yield ended(printed, self._clock.time(), printed.last_error())


def ended(printed: Printed, now: float, error: str, text: str = "") -> Batch:
    """Return the last batch of a program: its end, and that all there is was read."""
    printed.finish()
    batch = printed.collector.batch(now, caught_up=True) or Batch(caught_up=True)
    reason: EndReason = "failed" if error else "finished"
    ends = tuple(
        RunEnd(session.info.key, now, reason, error or text)
        for session in {id(known): known for known in printed.log.sessions.values()}.values()
    )
    return replace(batch, ends=(*batch.ends, *ends))


def read_or_end(fd: int) -> bytes:
    """Return what can be read now, b"" at the end; a pseudo-terminal ends with an error."""
    try:
        return os.read(fd, CHUNK_BYTES)
    except OSError:
        return b""


def readable(fd: int, seconds: float) -> bool:
    """Wait until there is something to read, or the end; unlike select, with any descriptor."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def write_all(fd: int, data: bytes) -> bool:
    """Write everything, as fast as it is taken; False if nobody takes it any more."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
        except OSError:
            return False
    return True
