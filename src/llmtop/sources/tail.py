"""The source for log files: everything the command line names, followed until llmtop ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from llmtop.clock import Clock
from llmtop.formats.base import SNIFF_BYTES
from llmtop.formats.table import Table
from llmtop.samples import Batch
from llmtop.sources.collect import Collector
from llmtop.sources.discover import MAX_FILES, Discovery, Found
from llmtop.sources.follow import Followed, TextFile
from llmtop.sources.logs import Log, run_key
from llmtop.sources.naming import EVENTS
from llmtop.sources.streamfile import StreamFile
from llmtop.sources.textlog import TextLog
from llmtop.sources.watch import Watch
from llmtop.sources.wholefile import WholeFile
from llmtop.units import format_bytes

RESCAN_SECONDS = 2.0
"""How often folders and globs are looked through for new files."""
LARGE_BYTES = 8 << 20
"""Backlog of which it is said how far it is read: half a second of reading."""
STREAM_SECONDS = 0.1
"""How often FIFOs are read."""
REST_SECONDS = 0.5
"""How often a log that is young or growing is asked what it still holds back."""
ALIVE_SECONDS = 60.0
"""A log that changed this lately is being written: training steps of a minute are common."""
ALIVE_GAPS = 3.0
ALIVE_LIMIT_SECONDS = 600.0
"""A log that changes every g seconds is being written for ALIVE_GAPS * g after a change, up to
this."""
HEARTBEAT_SECONDS = 3.0
"""How often it is said that a log is being written."""
PROGRESS_SECONDS = 0.5
"""How often it is said how far a large backlog is read."""
MAX_OPEN = 64
"""Files held open at once, the last changed ones: a usual limit is 256 for all a program does."""
MISSES = 2
"""Changes found without being told in a row, after which a folder is polled."""


class Tail:
    """Follows files, folders and globs."""

    def __init__(
        self, wanted: Sequence[str], *, clock: Clock, table: Table, poll: float | None = None
    ) -> None:
        """Follow `wanted`; `poll`: look at files so often, instead of having changes told.

        Raises:
            UsageError: one of them is neither there nor a glob.
        """
        self.name = Path(wanted[0]).name or wanted[0] if len(wanted) == 1 else "files"
        self._clock, self._table = clock, table
        self._discovery = Discovery(wanted, table)
        self._watch = Watch(poll)
        self._collector = Collector()
        self.files: dict[Path, Followed] = {}
        self._identities: dict[tuple[int, int], Path] = {}
        self._loose: set[tuple[int, int]] = set()
        self._known: set[Path] = set()
        self._trees: dict[str, Found] = {}
        self._seen: dict[str, set[tuple[int, tuple[str, ...]]]] = {}
        self._logs: dict[str, Log] = {}
        self._gaps: dict[Path, float] = {}
        self._misses: dict[Path, int] = {}
        self._rescanned = self._heard = self._told = float("-inf")
        self._status = ""
        self._caught_up = False

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what is there, then what comes, until `stop` is set."""
        yield Batch()
        told = True
        try:
            while not stop.is_set():
                self._rescan(stop)
                yield from self._read_all(stop, told)
                if stop.is_set():
                    return
                self._rest()
                yield from self._take(caught_up=not self._caught_up and self._is_settled())
                told = self._watch.wait(stop, self._patience())
        finally:
            self._watch.close()
            for file in self.files.values():
                file.close()

    def _rescan(self, stop: threading.Event) -> None:
        """Take up files that have appeared."""
        now = self._clock.monotonic()
        if now - self._rescanned < RESCAN_SECONDS:
            return
        self._rescanned = now
        for found in self._discovery.find(self._known, stop):
            if len(self._known) >= MAX_FILES:
                self._discovery.left_out += 1
                continue
            self._known.add(found.path)
            self._follow(found)
        self._let_go()
        if self._caught_up:
            # What is read once and left needs no watch.
            self._watch.add(sorted(self._discovery.folders))

    def _let_go(self) -> None:
        """Forget whose the inodes are that no path has any more: other files get them."""
        # Twice, as a log that is rotated is away for a moment.
        loose = {one for one, path in self._identities.items() if _identity(path) != one}
        for one in loose & self._loose:
            del self._identities[one]
        self._loose = loose - self._loose

    def _follow(self, found: Found) -> None:
        """Begin to follow a file, unless it is one already followed under another name."""
        identity = _identity(found.path)
        if identity is None:
            self._known.discard(found.path)
            return
        older_path = self._identities.get(identity)
        if older_path is not None and not found.tree:
            if _identity(older_path) != identity:
                if os.path.lexists(older_path) and found.path.name.startswith(older_path.stem):
                    # Rotated: it was read under its old name.
                    self._identities[identity] = found.path
                else:
                    self._known.discard(found.path)
            return
        self._identities[identity] = found.path
        if found.tree:
            older = self._trees.get(found.tree)
            if older is not None:
                if older.rank >= found.rank:
                    return
                self.files.pop(older.path).close()
            self._trees[found.tree] = found
        log = self._log(found)
        if found.format is not None:
            seen = self._seen.setdefault(found.tree, set()) if found.tree else None
            self.files[found.path] = WholeFile(
                found.path, found.format, log, self._collector, self._clock, seen
            )
            return
        text = TextLog(log, self._table, self._collector)
        kind = StreamFile if found.kind == "stream" else TextFile
        self.files[found.path] = kind(found.path, text, self._clock)

    def _log(self, found: Found) -> Log:
        """Return the log a file belongs to: copies in a tree, or parts in a folder, are one."""
        key = found.tree or str(found.path)
        if EVENTS.match(found.path.name):
            key = str(found.path.parent)
        log = self._logs.get(key)
        if log is None:
            name = self._collector.names.for_path(found.path, run_key(key))
            log = self._logs[key] = Log(key, name, "file")
            log.numbered = found.kind == "text"
        return log

    def _read_all(self, stop: threading.Event, told: bool) -> Iterator[Batch]:
        """Read every file to its present end, a slice of each in turn."""
        now = self._clock.time()
        before = {path: file.changed for path, file in self.files.items()}
        ready = [self._chosen_again(file) for file in list(self.files.values()) if file.look()]
        for file in ready:
            if self._caught_up:
                self._note_growth(file, before[file.path], now, told)
        while ready and not stop.is_set():
            more = []
            for file in ready:
                if file.read():
                    more.append(file)
                if self._collector.full:
                    yield from self._take()
                if stop.is_set():
                    return
            if self._clock.monotonic() - self._told >= PROGRESS_SECONDS:
                yield from self._take()
            ready = more

    def _chosen_again(self, file: Followed) -> Followed:
        """Return the file, read by a format of files if it turned out to be of one.

        A document that is only half written looks like any text.
        """
        if not isinstance(file, TextFile) or file.log.points or file.offset > SNIFF_BYTES:
            return file
        found = self._discovery.again(file.path)
        if found is None or not file.offset:
            return file
        file.close()
        self._identities.pop(file.identity, None)
        self._logs.pop(file.log.key, None)
        del self.files[file.path]
        self._follow(found)
        return self.files.get(file.path, file)

    def _note_growth(self, file: Followed, before: float, now: float, told: bool) -> None:
        """Learn how often a file changes, and whether the system tells of it."""
        gap = min(max(now - before, 0.0), ALIVE_LIMIT_SECONDS)
        old = self._gaps.get(file.path, gap)
        self._gaps[file.path] = old + 0.3 * (gap - old)
        folder = file.path.parent
        if told:
            self._misses.pop(folder, None)
            return
        self._misses[folder] = self._misses.get(folder, 0) + 1
        if self._misses[folder] >= MISSES:
            self._watch.missed(folder)

    def _rest(self) -> None:
        now, mono = self._clock.time(), self._clock.monotonic()
        beat = mono - self._heard >= HEARTBEAT_SECONDS
        if beat:
            self._heard = mono
        for file in self.files.values():
            file.rest(now)
            patience = max(ALIVE_SECONDS, ALIVE_GAPS * self._gaps.get(file.path, 0.0))
            if beat and now - file.changed < min(patience, ALIVE_LIMIT_SECONDS):
                self._collector.hear(file.log)
        if len(self.files) > MAX_OPEN:
            newest = sorted(self.files.values(), key=lambda file: -file.changed)
            for file in newest[MAX_OPEN:]:
                file.close()

    def _is_settled(self) -> bool:
        texts = [file.text for file in self.files.values() if isinstance(file, TextFile)]
        return not any(text.unsettled and text.lines for text in texts)

    def _take(self, *, caught_up: bool = False) -> Iterator[Batch]:
        """Yield a batch if there is anything in it, a new status included."""
        self._caught_up = self._caught_up or caught_up
        status = self._describe()
        batch = self._collector.batch(self._clock.time(), caught_up=caught_up)
        if batch is None and status == self._status:
            return
        self._status, self._told = status, self._clock.monotonic()
        yield replace(batch or Batch(), status=status)

    def _patience(self) -> float:
        if any(isinstance(file, StreamFile) and not file.ended for file in self.files.values()):
            return STREAM_SECONDS
        now = self._clock.time()
        if not self._caught_up or any(
            now - file.changed < ALIVE_SECONDS for file in self.files.values()
        ):
            return REST_SECONDS
        return RESCAN_SECONDS

    def _describe(self) -> str:
        """Return how far a large backlog is read, or else what is wrong."""
        size = sum(file.size for file in self.files.values())
        left = size - sum(file.offset for file in self.files.values())
        if left > LARGE_BYTES:
            return f"reading {format_bytes(size)}: {100 * (size - left) // size} %"
        problems = {file.path: file.problem for file in self.files.values()
                    if file.problem and self._discovery.wants(file.path)}
        problems.update(self._discovery.problems)
        if problems:
            path, reason = next(iter(problems.items()))
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            return f"{path}: {reason}{more}"
        if self._table.problems:
            return self._table.problems[0]
        if self._discovery.left_out:
            return f"{self._discovery.left_out} files are left out: there are too many"
        if not self.files:
            return f"{', '.join(self._discovery.wanted)}: no metric log there yet"
        if not any(log.points for log in self._logs.values()):
            return f"{next(iter(self.files))}: no metric in it yet"
        return ""


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what a path leads to, None if that is nothing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
