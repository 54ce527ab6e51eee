"""One run's file: an SQLite database with its sessions, DATA as it came, and what was folded.

A row of DATA is some frames of one session, one after another as on the wire.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np

from llmtop.errors import ConfigError
from llmtop.keep.fold import NOTHING, Folded
from llmtop.keep.page import Known, Page, Told
from llmtop.wire import COUNTS, HEADER, Kind

VERSION = 1
BUSY_SECONDS = 5.0
"""How long a reader waits for a writer: far longer than a second's worth takes."""
SCHEMA = """
BEGIN;
CREATE TABLE about (summary TEXT);
CREATE TABLE sessions (number INTEGER PRIMARY KEY, key TEXT UNIQUE, origin TEXT, hello TEXT,
                       definitions TEXT, bye BLOB);
CREATE TABLE folded (session INTEGER PRIMARY KEY, next INTEGER, rows BLOB, bins BLOB, ends BLOB);
CREATE TABLE data (place INTEGER PRIMARY KEY, session INTEGER, first INTEGER, last INTEGER,
                   frames BLOB);
CREATE TABLE said (place INTEGER PRIMARY KEY, session INTEGER, kind INTEGER, seq INTEGER,
                   frame BLOB);
INSERT INTO about VALUES ('{}');
PRAGMA user_version = 1;
COMMIT;
"""

DAMAGE = (
    sqlite3.Error, struct.error, ArithmeticError, AttributeError, LookupError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""What comes of a file in which anything may stand."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file into one line.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        yield
    except DAMAGE as error:
        text = str(error) or type(error).__name__
        raise ConfigError(f"{path}: cannot be read: {text}") from None


class Book:
    """A run's file, open for reading or by its one writer."""

    def __init__(self, path: Path, *, write: bool = False, look: bool = True) -> None:
        """Open a file; one that is missing is made where it is to be written.

        Args:
            path: The file.
            write: It is to be written.
            look: Its sessions are to be known, not just its summary.

        Raises:
            ConfigError: it is no file of ours, damaged, or of a newer llmtop.
            sqlite3.Error: it cannot be made.
        """
        self.path = path
        self.exact = 0
        """Bytes of DATA."""
        self.sessions: dict[str, Known] = {}
        self._write = write
        if write and not path.exists():
            # SQLite gives what lies beside it the mode it finds.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        # What cannot be opened for writing may be some day: a disk is full, descriptors are few.
        with nullcontext() if write else readable(path):
            self.base = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}", uri=True,
                timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False,
            )
        try:
            self._begin(write, look)
        except BaseException:  # whatever it is, the file is not left open
            self.base.close()
            raise

    def _begin(self, write: bool, look: bool) -> None:
        with readable(self.path):
            (version,) = self.base.execute("PRAGMA user_version").fetchone()
            fresh = not version and not self.base.execute("SELECT * FROM sqlite_master").fetchone()
        if fresh and write:
            self.base.executescript(SCHEMA)
        elif version != VERSION:
            what = "of a newer llmtop" if version > VERSION else "no run"
            raise ConfigError(f"{self.path}: {what}")
        if write:
            # Power may take the last seconds, but not the file; a kill takes nothing committed.
            self.base.execute("PRAGMA journal_mode = wal")
            self.base.execute("PRAGMA synchronous = normal")
        if look:
            with readable(self.path):
                self._look()

    def _look(self) -> None:
        """Read what is there of each session, DATA itself left out."""
        ask = self.base.execute
        keys = {}
        for number, key, origin, hello, defs, bye, upcoming in ask(
            "SELECT sessions.*, next FROM sessions LEFT JOIN folded ON number = session"
        ):
            definitions = {int(entry[0]): entry for entry in json.loads(defs)}
            self.sessions[key] = keys[number] = Known(
                number, origin, json.loads(hello), definitions, bye,
                -1 if upcoming is None else upcoming, historic=False, saved=(hello, defs, bye),
            )
        for number, last, size in ask(
            "SELECT session, max(last), sum(length(frames)) FROM data GROUP BY session"
        ):
            keys[number].next = max(keys[number].next, last + 1)
            self.exact += size
        for number, kind, seq, frame in ask("SELECT session, kind, seq, frame FROM said"):
            known = keys[number]
            if kind == Kind.EVENT:
                known.events = max(known.events, seq)
            else:
                sid, _, stop, _ = COUNTS.unpack_from(frame, HEADER.size)
                known.counted[sid] = max(known.counted.get(sid, -1.0), stop)

    def summary(self) -> dict[str, Any]:
        """Return what a list tells of the run.

        Raises:
            ConfigError: it cannot be read.
        """
        with readable(self.path):
            found = json.loads(self.base.execute("SELECT summary FROM about").fetchone()[0])
            return found if isinstance(found, dict) else {}

    def newest(self) -> int:
        """Return the place of the newest DATA, 0 if there are none."""
        with readable(self.path):
            return int(self.base.execute("SELECT max(place) FROM data").fetchone()[0] or 0)

    def folded(self, number: int) -> Folded:
        """Return what was folded of a session."""
        found = self.base.execute(
            "SELECT rows, bins, ends FROM folded WHERE session = ?", (number,)
        ).fetchone()
        if found is None:
            return NOTHING
        return Folded(*(
            np.frombuffer(part, empty.dtype) for part, empty in zip(found, NOTHING, strict=True)
        ))  # fmt: skip

    def put_folded(self, number: int, folded: Folded, upcoming: int = -1) -> None:
        """Replace what was folded of a session, up to the DATA before seq `upcoming`."""
        self.base.execute(
            "INSERT INTO folded VALUES (?, ?, ?, ?, ?) ON CONFLICT (session) DO UPDATE SET "
            "next = max(next, excluded.next), rows = excluded.rows, bins = excluded.bins, "
            "ends = excluded.ends",
            (number, upcoming, *(part.tobytes() for part in folded)),
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of something or nothing of it.

        Raises:
            sqlite3.Error: it could not be done; the book is to be opened anew.
        """
        self.base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.base.execute("COMMIT")
        except BaseException:  # whatever it is, nothing is left half done
            with suppress(sqlite3.Error):
                self.base.execute("ROLLBACK")
            raise

    def write(self, told: Iterable[Told], summary: Mapping[str, Any]) -> bool:
        """Take what is new in some frames; tell whether anything is.

        Raises:
            sqlite3.Error: it could not be written; the book is to be opened anew.
        """
        page = Page(self)
        for one in told:
            page.take(one)
        if not page:
            return False
        with self.transaction():
            page.write()
            self.base.execute("UPDATE about SET summary = ?", (json.dumps(summary),))
        return True

    def close(self) -> None:
        """Close it; who has written leaves one file, which a reader needs nothing beside."""
        with suppress(sqlite3.Error):
            if self._write:
                self.base.execute("PRAGMA journal_mode = delete")
        self.base.close()
