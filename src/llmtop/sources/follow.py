"""One followed file: what is new in it since the last look, whatever was done to it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

from llmtop.clock import Clock
from llmtop.formats.base import FileFormat, Item, Points
from llmtop.sources.collect import Collector, Log
from llmtop.sources.textlog import TextLog

SLICE_BYTES = 1 << 20
"""Read at once: a twentieth of a second of parsing, between two looks at `stop`."""
SLICE_ITEMS = 4096
"""Items of a file format taken at once."""
PRINT_BYTES = 256
"""Bytes before the place read up to that must still be there, else the file began anew."""
RETRY_SECONDS = 2.0
"""Pause before a file that could not be read is tried again."""
AGAIN_SECONDS = 1.0
"""A file that is written anew is read once more after this quiet: its last state may have the size
and time of a state read before."""


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
        self.problem = _reason(error)
        self._retry = now + RETRY_SECONDS
        return False


class WholeFile:
    """A file that its format reads by itself."""

    def __init__(
        self, path: Path, chosen: FileFormat, log: Log, collector: Collector, clock: Clock,
        seen: set[tuple[int, tuple[str, ...]]] | None = None,
    ) -> None:
        """Follow `path`; `seen`: the points (step and names) that an older copy has given."""
        self.path, self.log, self.problem = path, log, ""
        self.format = chosen
        self.size = self.offset = 0
        self.changed = self.opened = clock.time()
        self._collector, self._clock = collector, clock
        self._reader = chosen.reader(path)
        self._items: Iterator[Item] | None = None
        self._signature: tuple[object, ...] = ()
        self._again = self._retry = 0.0
        self._seen = seen
        self._known = frozenset(seen or ())

    def look(self) -> bool:
        """Return whether there is something new to read."""
        now = self._clock.time()
        if self._items is not None:
            return True
        if self.problem and now < self._retry:
            return False
        try:
            signature = self._sign(now)
        except OSError as error:
            self.problem, self._retry = _reason(error), now + RETRY_SECONDS
            return False
        if signature != self._signature or self.problem:
            self._signature, self._again = signature, now + AGAIN_SECONDS
        elif self._again and now >= self._again:
            self._again = 0.0
        else:
            return False
        self._items = iter(self._reader.read())
        return True

    def read(self) -> bool:
        """Read one slice; return whether there is more."""
        if self._items is None:
            return False
        now = self._clock.time()
        try:
            items = list(islice(self._items, SLICE_ITEMS))
        except Exception as error:  # a reader's mistake costs its own file only
            self._items = None
            self.problem, self._retry = _reason(error), now + RETRY_SECONDS
            return False
        self.problem = ""
        if self._seen is not None:
            items = [item for item in items if self._is_new(item)]
        self._collector.take(self.log, ((self.format, item) for item in items), self.changed)
        if (len(items) < SLICE_ITEMS and self._seen is None) or not items:
            self._items, self.offset = None, self.size
            self._known = frozenset()
        return self._items is not None

    def rest(self, now: float) -> None:
        """Nothing waits here: what is not complete stays in the file."""

    def close(self) -> None:
        """Drop what is being read."""
        self._items = None

    def _sign(self, now: float) -> tuple[object, ...]:
        """Return what changes when the file does; SQLite writes beside its file first."""
        signature: list[object] = []
        newest = 0.0
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                found = path.stat()
            except FileNotFoundError:
                if path is self.path:
                    raise
                continue
            signature += (found.st_ino, found.st_size, found.st_mtime_ns)
            newest = max(newest, found.st_mtime)
            if path is self.path:
                self.size = found.st_size
        self.changed = min(newest, now)
        return tuple(signature)

    def _is_new(self, item: Item) -> bool:
        """Tell whether an item was not in an older copy of the same history."""
        if type(item) is not Points:
            return True
        key = item.step, tuple(item.values)
        if key in self._known:
            return False
        if self._seen is not None:
            self._seen.add(key)
        return True


class StreamFile:
    """A FIFO or a device: read as it comes, without a past."""

    def __init__(self, path: Path, text: TextLog, clock: Clock) -> None:
        self.path, self.log, self.text, self.problem = path, text.log, text, ""
        self.size = self.offset = 0
        self.changed = self.opened = clock.time()
        self.ended = False
        """A device that has nothing more: /dev/null."""
        self._clock = clock
        self._fd = -1
        self._data = b""
        self._pipe = True

    def look(self) -> bool:
        """Return whether there is something new to read."""
        if self.ended:
            return False
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
            self._data = os.read(self._fd, SLICE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self.problem = _reason(error)
            return False
        self.problem = ""
        self.ended = not self._data and not self._pipe
        return bool(self._data)

    def read(self) -> bool:
        """Read one slice; return whether there is more."""
        data, self._data = self._data, b""
        self.changed = self._clock.time()
        self.offset += len(data)
        self.size = self.offset
        self.text.feed(data, self.changed)
        return len(data) == SLICE_BYTES and self.look()

    def rest(self, now: float) -> None:
        """Say what can be said while nothing more comes."""
        quiet = now - self.changed
        self.text.rest(now, age=now - self.opened, quiet=quiet)

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
