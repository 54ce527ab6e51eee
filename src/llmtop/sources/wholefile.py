"""A followed file that its format reads by itself: binary, written anew as a whole, or a table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from llmtop.clock import Clock
from llmtop.formats.base import FileFormat, Item, Points
from llmtop.sources.collect import Collector
from llmtop.sources.follow import RETRY_SECONDS, reason_of
from llmtop.sources.logs import Log

SLICE_ITEMS = 4096
"""Items of a file format taken at once."""
AGAIN_SECONDS = 1.0
"""A file that is written anew is read once more after this quiet: its last state may have the size
and time of a state read before."""


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
            self.problem, self._retry = reason_of(error), now + RETRY_SECONDS
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
            self.problem, self._retry = reason_of(error), now + RETRY_SECONDS
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
