"""One followed file: what is new in it since the last look, whatever was done to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from llmtop.clock import Clock
from llmtop.sources.logs import Log
from llmtop.sources.textlog import TextLog

SLICE_BYTES = 1 << 20
"""Read at once: a twentieth of a second of parsing, between two looks at `stop`."""
PRINT_BYTES = 256
"""Bytes before the place read up to that must still be there, else the file began anew."""
RETRY_SECONDS = 2.0
"""Pause before a file that could not be read is tried again."""


class Followed(Protocol):
    """A file under watch."""

    path: Path
    log: Log
    problem: str
    """Why it cannot be read just now, "" if it can."""
    changed: float
    """Unix seconds of its last known change."""
    opened: float
    """Unix seconds of when its present content was first looked at."""
    size: int
    offset: int

    def look(self) -> bool:
        """Return whether there is something new to read."""
        ...

    def read(self) -> bool:
        """Read one slice; return whether there is more."""
        ...

    def rest(self, now: float) -> None:
        """Say what can be said while nothing more comes."""
        ...

    def close(self) -> None:
        """Give back what is held open."""
        ...


class TextFile:
    """A file of lines that is appended to, rotated, truncated or replaced."""

    def __init__(self, path: Path, text: TextLog, clock: Clock) -> None:
        self.path, self.log, self.problem = path, text.log, ""
        self.text = text
        self.size = self.offset = 0
        self.changed = self.opened = clock.time()
        self._clock = clock
        self._fd = -1
        self.identity = (0, 0)
        self._mtime = 0
        self._head = self._before = b""
        self._history_end = 0
        self._retry = 0.0

    def look(self) -> bool:
        """Return whether there is something new to read."""
        now = self._clock.time()
        if self.problem and now < self._retry:
            return False
        try:
            found = self.path.stat()
        except OSError as error:
            return self._failed(error, now)
        identity = (found.st_dev, found.st_ino)
        if self._fd >= 0 and identity != self.identity and self._drain():
            return True
        same = identity == self.identity and (found.st_size, found.st_mtime_ns) == (
            self.size, self._mtime
        )  # fmt: skip
        if same and (self._fd >= 0 or self.offset >= self.size):
            return self.offset < self.size
        try:
            self._open(identity, found, now)
        except OSError as error:
            return self._failed(error, now)
        self.problem = ""
        return self.offset < self.size

    def read(self) -> bool:
        """Read one slice; return whether there is more."""
        room = SLICE_BYTES
        if self.offset < self._history_end:
            room = min(room, self._history_end - self.offset)
        history = self.offset < self._history_end
        try:
            data = os.pread(self._fd, room, self.offset)
        except OSError as error:
            return self._failed(error, self._clock.time())
        if not data:
            self.size = self.offset
            return False
        if len(self._head) < PRINT_BYTES:
            self._head = (self._head + data)[:PRINT_BYTES]
        self._before = (self._before + data)[-PRINT_BYTES:]
        self.offset += len(data)
        self.size = max(self.size, self.offset)
        self.text.feed(data, self.changed if history else self._clock.time())
        return self.offset < self.size

    def rest(self, now: float) -> None:
        """Say what can be said while nothing more comes."""
        quiet = now - self.changed
        at = self.changed if self.offset <= self._history_end else now
        self.text.rest(at, age=max(now - self.opened, quiet), quiet=quiet)

    def close(self) -> None:
        """Close the file; a later change opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, identity: tuple[int, int], found: os.stat_result, now: float) -> None:
        """Stand where reading goes on: after what was read if that is still there, else at 0."""
        if self._fd < 0 or identity != self.identity:
            self.close()
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        first = self.identity == (0, 0)
        if not first and not self._goes_on(found.st_size):
            self.text.end(now)
            self.text.restart()
            self.offset, self._head, self._before = 0, b"", b""
            self.opened, self._history_end = now, 0
        if first:
            self._history_end = found.st_size
        self.identity, self.size, self._mtime = identity, found.st_size, found.st_mtime_ns
        # A clock that runs ahead of the file server's must not make the past of the present.
        self.changed = min(found.st_mtime, now)

    def _goes_on(self, size: int) -> bool:
        """Tell whether the file still begins with what was read of it."""
        if size < self.offset:
            return False
        before = os.pread(self._fd, len(self._before), self.offset - len(self._before))
        return before == self._before and os.pread(self._fd, len(self._head), 0) == self._head

    def _drain(self) -> bool:
        """Tell whether the file that was moved away or deleted has more to read."""
        try:
            end = os.fstat(self._fd).st_size
        except OSError:
            return False
        self.size = end
        return self.offset < end

    def _failed(self, error: OSError, now: float) -> bool:
        if isinstance(error, FileNotFoundError) and self._fd >= 0:
            if self._drain():
                return True
            self.close()
        self.problem = reason_of(error)
        self._retry = now + RETRY_SECONDS
        return False


def reason_of(error: Exception) -> str:
    """Return why a file cannot be read, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
