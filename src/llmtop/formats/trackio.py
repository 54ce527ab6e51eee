"""trackio's SQLite files, read while the run goes on and never written to.

Only rows after the last ones are asked for. A reader of a database in WAL mode would make the
files beside it that it lacks, so it is opened as unchangeable where they are not there; a lock
held by the writer, or a page that it is just writing, is waited for until the next look.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from llmtop.formats.base import About, FileFormat, Item, Note, Points, Skipped
from llmtop.formats.documents import without_media
from llmtop.formats.numbers import flatten, step_of, timestamp
from llmtop.formats.records import Resumable

MAGIC = b"SQLite format 3\0"
ROWS = 1000
"""Read at once: 3 ms, so that no read transaction is held for long."""
BUSY_SECONDS = 0.1
"""Waited for a lock before the next look tries again."""
FAILURES = (sqlite3.Error, ValueError)
"""What reading raises; ValueError for a message or an id that is damaged too."""
MAX_RUNS = 10_000
"""Runs of one project whose ids are remembered."""

_WAL_VERSION_AT = 18
_WAL = 2
_DAMAGED = Skipped("a database that cannot be read")
_BAD_ROW = Skipped("a row whose metrics are no JSON")
_NO_INDEX = Skipped("rows in a write-ahead log (-wal) without its index (-shm)")


@dataclass(slots=True)
class _Place:
    """How far one table was read."""

    last: int = 0
    timestamp: str = ""


class _Database(Resumable):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._seen: object = None
        self._failed: object = None
        self._said: set[Skipped] = set()
        self._begin()

    def _begin(self) -> None:
        self._places = {table: _Place() for table in _TABLES}
        self._names: dict[str, str] = {}

    def more(self) -> Iterable[Item] | None:
        """Return what the next rows say, None when there are none or they cannot be read now."""
        seen = (_mark(self._path), _mark(_beside(self._path, "-wal")))
        if seen[0] is None:
            raise FileNotFoundError(f"no file {self._path}")
        if seen == self._seen:
            return None
        try:
            with closing(_open(self._path)) as connection:
                found, all_read = self._rows(connection)
        except FAILURES:
            # A lock, or a page that is being written: only what stays so is damage.
            failed, self._failed = self._failed, seen
            return self._once(_DAMAGED) if failed == seen else None
        if all_read:
            self._seen = seen
        if not found and _without_index(self._path):
            return self._once(_NO_INDEX)
        return found or None

    def _once(self, skipped: Skipped) -> Iterable[Item] | None:
        if skipped in self._said:
            return None
        self._said.add(skipped)
        return (skipped,)

    def _rows(self, connection: sqlite3.Connection) -> tuple[list[Item], bool]:
        """Return the items of at most ROWS rows of each table, and whether that is all."""
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if self._began_anew(connection, there):
            self._begin()
        found: list[Item] = []
        all_read = True
        for table, (columns, read) in _TABLES.items():
            if table not in there:
                continue
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            wanted = ", ".join(name if name in known else f"NULL AS {name}" for name in columns)
            place = self._places[table]
            rows = connection.execute(
                f"SELECT id, {wanted} FROM {table} WHERE id > ? ORDER BY id LIMIT {ROWS}",
                (place.last,),
            ).fetchall()
            for number, name, run_id, at, *rest in rows:
                place.last, place.timestamp = int(number), str(at)
                found.extend(read(self._run(str(name), run_id), timestamp(str(at)), *rest))
            all_read = all_read and len(rows) < ROWS
        return found, all_read

    def _began_anew(self, connection: sqlite3.Connection, there: set[str]) -> bool:
        """Return whether this is another database: ids fell, or an id has another time."""
        if "sqlite_sequence" in there:
            counted = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
            if any(place.last > counted.get(t, 0) for t, place in self._places.items()):
                return True
        place = self._places["metrics"]
        if not place.last or "metrics" not in there:
            return False
        row = connection.execute(
            "SELECT timestamp FROM metrics WHERE id = ?", (place.last,)
        ).fetchone()
        return row is not None and str(row[0]) != place.timestamp

    def _run(self, name: str, run_id: object) -> str:
        """Return a name for the run: its own, with its id where another run has that name."""
        if not isinstance(run_id, str):
            return name
        known = self._names.get(run_id)
        if known is None:
            known = name if name not in self._names.values() else f"{name} {run_id[:8]}"
            if len(self._names) < MAX_RUNS:
                self._names[run_id] = known
        return known


def _load(text: object) -> dict[str, Any] | None:
    try:
        record = json.loads(text) if isinstance(text, (str, bytes)) else None
    except (ValueError, RecursionError):
        return None
    return record if type(record) is dict else None


def _metrics(run: str, time: float | None, step: object, text: object) -> Iterator[Item]:
    record = _load(text)
    if record is None:
        yield _BAD_ROW
    elif values := flatten(without_media(record)):
        yield Points(values, step_of(step if isinstance(step, int) else None), time, run=run)


def _system(run: str, time: float | None, text: object) -> Iterator[Item]:
    record = _load(text)
    if record is None:
        yield _BAD_ROW
    elif values := flatten({"system": without_media(record)}):
        yield Points(values, time=time, run=run)


def _config(run: str, time: float | None, text: object) -> Iterator[Item]:
    tags = {key: value for key, value in (_load(text) or {}).items() if not key.startswith("_")}
    yield About(name=run, started=time, tags=tags, run=run)


def _alert(
    run: str, time: float | None, step: object, level: object, title: object, text: object
) -> Iterator[Item]:
    said = ": ".join(str(part) for part in (run, title, text) if part)
    yield Note(
        said, _LEVELS.get(str(level), "info"), step_of(step if isinstance(step, int) else None),
        time,
    )


_LEVELS = {"warn": "warning", "error": "error"}
_TABLES: dict[str, tuple[tuple[str, ...], Callable[..., Iterator[Item]]]] = {
    "configs": (("run_name", "run_id", "created_at", "config"), _config),
    "metrics": (("run_name", "run_id", "timestamp", "step", "metrics"), _metrics),
    "system_metrics": (("run_name", "run_id", "timestamp", "metrics"), _system),
    "alerts": (("run_name", "run_id", "timestamp", "step", "level", "title", "text"), _alert),
}
"""Table -> the columns that are asked for, and what reads a row."""


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file does, None when it is not there."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _open(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, and makes no file."""
    with open(path, "rb") as file:
        header = file.read(_WAL_VERSION_AT + 1)
    if header[_WAL_VERSION_AT:] != bytes((_WAL,)):
        how = "mode=ro"
    elif _mark(_beside(path, "-shm")) is not None and _mark(_beside(path, "-wal")) is not None:
        how = "mode=ro&readonly_shm=1"
    else:
        how = "mode=ro&immutable=1"
    address = f"file:{quote(str(path.absolute()))}?{how}"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _without_index(path: Path) -> bool:
    wal = _mark(_beside(path, "-wal"))
    return wal is not None and wal[1] > 0 and _mark(_beside(path, "-shm")) is None


def _sniff(path: Path, head: bytes) -> bool:
    if not head.startswith(MAGIC):
        return False
    try:
        with closing(_open(path)) as connection:
            columns = {row[1] for row in connection.execute("PRAGMA table_info(metrics)")}
    except (*FAILURES, OSError):
        return False
    return {"id", "timestamp", "run_name", "step", "metrics"} <= columns


FORMATS = (
    FileFormat(
        name="trackio",
        title="trackio",
        example="PROJECT.db: an SQLite file with a table of metrics as JSON, for all its runs",
        sniff=_sniff,
        reader=_Database,
    ),
)
