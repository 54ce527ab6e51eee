"""Pages -> files, once a second, on a thread of its own; nobody waits for the disk."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmtop.clock import Clock
from llmtop.engine import SourceState
from llmtop.errors import ConfigError
from llmtop.keep import folder as folders
from llmtop.keep.book import Book
from llmtop.keep.limits import Limits
from llmtop.keep.page import Told
from llmtop.keep.room import make_room
from llmtop.keep.trim import trim, trim_said
from llmtop.wire import Kind

WAITING_BYTES = 32 << 20
"""What waits for a disk that is slow or full: seven seconds of 1000 ranks, hours of one run."""
RETRY_SECONDS = 5.0
"""Between two tries after something went wrong, or another monitor was found to write a run."""
IDLE_SECONDS = 60.0
"""A run that nothing was heard of for so long is closed; SQLite tidies its file up then."""
MAX_OPEN = 64
"""Runs open at once, three descriptors each."""
ROOM_SECONDS = 60.0
"""Between two looks whether there are too many runs."""
SHARE = 16
"""DATA of one run may take this part of all there is room for, more of it if few are written."""
SAID_WRITES = 256
"""Between two looks whether events and looks at servers are too many."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is to be written of one run."""

    run: int
    """Its number in the store."""
    summary: dict[str, Any]
    told: Sequence[Told]
    oldest: Mapping[str, int] = field(default_factory=dict)
    """Of sessions that go on after something was missed: the seq of the first DATA in `told`."""

    @property
    def bytes(self) -> int:
        """Return what it holds in memory."""
        return sum(len(one.frame) for one in self.told)


@dataclass(slots=True)
class _Open:
    """A run that is being written."""

    book: Book
    used: float
    """Monotonic seconds."""
    writes: int = 0


class Writer:
    """Writes the runs of one monitor into a folder."""

    def __init__(self, folder: Path, limits: Limits, clock: Clock) -> None:
        self.state = SourceState("runs on disk", caught_up=True)
        """How it does, in the engine's list of sources: that is where people look."""
        self.refused: frozenset[int] = frozenset()
        """Runs that another monitor writes."""
        self.missed: deque[str] = deque()
        """Keys of sessions of which something was not written."""
        self.lacking: deque[str] = deque()
        """Keys of sessions that cannot go on in their files, or have none: to be told whole."""
        self._folder, self._limits, self._clock = folder, limits, clock
        self._sheets: deque[Sheet] = deque()
        self._put = self._taken = 0
        self._wake, self._stop = threading.Event(), threading.Event()
        self._locks: folders.Locks | None = None
        self._open: dict[str, _Open] = {}
        self._files: dict[int, str] = {}
        """Ids of runs by their number in the store."""
        self._index: dict[str, str] = {}
        """Ids of runs by the keys of their sessions."""
        self._seen: set[str] = set()
        """Ids of runs whose sessions are in the index."""
        self._retry = self._looked = float("-inf")
        self._thread = threading.Thread(target=self._run, name="llmtop-keep", daemon=True)
        self._thread.start()

    @property
    def room(self) -> bool:
        """Whether more may be put."""
        return self._put - self._taken < WAITING_BYTES

    @property
    def ok(self) -> bool:
        """Whether the disk takes what it is given."""
        return self.state.state == "ok"

    def put(self, sheet: Sheet) -> None:
        """Have a sheet written; the caller looks at `room` before."""
        self._put += sheet.bytes
        self._sheets.append(sheet)
        self._wake.set()

    def close(self, seconds: float) -> None:
        """Write what waits, within some seconds, and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(RETRY_SECONDS)
            self._wake.clear()
            self._turn()
            if not self.ok:
                self._stop.wait(RETRY_SECONDS)
        self._retry = float("-inf")
        self._turn()
        for run in list(self._open):
            self._shut(run)
        if self._locks is not None:
            self._locks.close()

    def _turn(self) -> None:
        """Write what waits; what went wrong is tried again later, from there on."""
        now = self._clock.monotonic()
        try:
            if self._locks is None:
                folders.make(self._folder)
                self._locks = folders.Locks(self._folder)
            if now - self._retry >= RETRY_SECONDS:
                self._retry, self.refused = now, frozenset()
            while self._sheets:
                self._write(self._sheets[0], now)
                self._taken += self._sheets.popleft().bytes
            for run in [run for run, one in self._open.items() if now - one.used > IDLE_SECONDS]:
                self._shut(run)
            if now - self._looked >= ROOM_SECONDS:
                self._looked = now
                make_room(self._folder, self._limits, self._locks, self._open, self._clock.time())
            self.state.state, self.state.reason = "ok", ""
        except (OSError, sqlite3.Error, ConfigError) as error:
            for run in list(self._open):
                self._shut(run)
            text = getattr(error, "strerror", None) or str(error)
            self.state.reason = (
                f"{self._folder}: {text.lower()}; runs stay in memory until it can be written"
            )
            self.state.state = "lost"

    def _write(self, sheet: Sheet, now: float) -> None:
        if sheet.run in self.refused:
            self._miss(sheet)
            return
        run = self._id(sheet)
        opened = self._open.get(run) or self._opened(run, sheet, now)
        if opened is None:
            return
        opened.used = now
        told = self._fitting(opened.book, sheet)
        try:
            if not opened.book.write(told, sheet.summary):
                return
            opened.writes += 1
            self._index.update((one.key, run) for one in told)
            trim(opened.book, self._limits.size // max(SHARE, 2 * len(self._open)))
            if opened.writes % SAID_WRITES == 0:
                trim_said(opened.book)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._shut(run)
            self._leave(run, sheet)

    def _fitting(self, book: Book, sheet: Sheet) -> Sequence[Told]:
        """Return what of a sheet the file can take: of no session that began without it."""
        begun = {one.key for one in sheet.told if one.kind == Kind.HELLO} - sheet.oldest.keys()
        lacking = {one.key for one in sheet.told} - book.sessions.keys() - begun
        lacking |= {
            key for key, seq in sheet.oldest.items()
            if key in book.sessions and book.sessions[key].next < seq
        }  # fmt: skip
        if not lacking:
            return sheet.told
        self.lacking.extend(lacking)
        return [one for one in sheet.told if one.key not in lacking]

    def _miss(self, sheet: Sheet) -> None:
        self.missed.extend({one.key for one in sheet.told})

    def _id(self, sheet: Sheet) -> str:
        """Return the id of a run: where some session of it is, or a new one."""
        keys = dict.fromkeys(one.key for one in sheet.told)
        if any(key not in self._index for key in keys):
            self._look()
        known = (self._index[key] for key in keys if key in self._index)
        run = self._files.get(sheet.run) or next(known, "")
        if not run:
            first = next(iter(keys))
            tries = (folders.new_id(first + "'" * n) for n in range(len(self._seen) + 1))
            run = next(one for one in tries if one not in self._seen)
        self._files[sheet.run] = run
        return run

    def _look(self) -> None:
        """Find out of files that are new here whose sessions are in them."""
        for path in folders.paths(self._folder):
            if path.stem in self._seen:
                continue
            self._seen.add(path.stem)
            try:
                book = Book(path)
            except (ConfigError, sqlite3.Error):
                continue
            for key in book.sessions:
                self._index.setdefault(key, path.stem)
            book.close()

    def _opened(self, run: str, sheet: Sheet, now: float) -> _Open | None:
        """Open a run's file, unless another monitor has it or it is damaged."""
        assert self._locks is not None
        if not self._locks.take(run):
            self.refused |= {sheet.run}
            self._miss(sheet)
            return None
        if len(self._open) >= MAX_OPEN:
            self._shut(min(self._open, key=lambda one: self._open[one].used))
        path = (self._folder / run).with_suffix(folders.SUFFIX)
        try:
            opened = self._open[run] = _Open(Book(path, write=True), now)
        except ConfigError:
            self._locks.give(run)
            self._leave(run, sheet)
            return None
        self._seen.add(run)
        return opened

    def _leave(self, run: str, sheet: Sheet) -> None:
        """Leave a damaged file to whoever lists the runs; what goes on does so in a new one."""
        self._seen.add(run)
        self._index = {key: one for key, one in self._index.items() if one != run}
        self._files = {key: one for key, one in self._files.items() if one != run}
        self._miss(sheet)

    def _shut(self, run: str) -> None:
        try:
            self._open.pop(run).book.close()
        except sqlite3.Error:
            pass
        finally:
            if self._locks is not None:
                self._locks.give(run)
