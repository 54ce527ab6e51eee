"""What one transaction adds to a run's file: of a session that is there already, what is new."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from llmtop.keep.fold import BIN_DTYPE, Folded
from llmtop.samples import BUCKET_DTYPE
from llmtop.sources.history import BIN_DTYPE as PAIR_DTYPE
from llmtop.wire import COUNTS, HEADER, MAX_SIDS, SID, Kind

if TYPE_CHECKING:
    from llmtop.keep.book import Book


OWN = "own-"
"""What the key of a session begins with that did not come over the wire."""


class Told(NamedTuple):
    """One frame of a session, as it goes to viewers."""

    key: str
    """Of the session, the same in every life of a monitor."""
    kind: int
    seq: int
    frame: bytes
    origin: str = ""
    """HELLO: the name of the source it came by."""
    anew: bool = False
    """HELLO: what is there of the session is to be replaced."""


@dataclass(slots=True)
class Known:
    """What the file holds of one session, or is about to."""

    number: int
    origin: str = ""
    hello: dict[str, Any] = field(default_factory=dict)
    definitions: dict[int, list[Any]] = field(default_factory=dict)
    """Entries of DEFS by sid."""
    bye: bytes | None = None
    next: int = -1
    """The seq of the DATA that comes next, -1 as long as none came."""
    historic: bool = True
    """Folded history is still welcome: nothing of it was there before, and no DATA came yet."""
    events: int = 0
    """The newest EVENT."""
    counted: dict[int, float] = field(default_factory=dict)
    """When the newest look of a bucketed series ended, in unix seconds, by sid."""
    saved: tuple[str, str, bytes | None] = ("", "", None)
    """HELLO, DEFS and BYE as the file has them."""

    def row(self) -> tuple[str, str, bytes | None]:
        """Return HELLO, DEFS and BYE as a file holds them."""
        return json.dumps(self.hello), json.dumps([*self.definitions.values()]), self.bye


@dataclass(slots=True)
class Chunk:
    """DATA of one session without a gap."""

    first: int
    last: int
    frames: list[bytes]


class Page:
    """What one transaction adds."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._chunks: list[tuple[int, Chunk]] = []
        self._open: dict[int, Chunk] = {}
        self._said: list[tuple[int, int, int, bytes]] = []
        self._rows: dict[int, list[bytes]] = {}
        self._bins: dict[int, list[tuple[int, bytes]]] = {}
        self._anew: list[int] = []
        self._touched: dict[str, Known] = {}

    def __bool__(self) -> bool:
        changed = any(known.row() != known.saved for known in self._touched.values())
        return bool(changed or self._chunks or self._said or self._rows or self._anew)

    def take(self, told: Told) -> None:
        """Take in one frame if it is new."""
        known = self._book.sessions.get(told.key)
        if told.kind == Kind.HELLO:
            self._hello(told, known)
        elif known is None:
            return
        elif told.kind == Kind.DATA:
            self._data(known, told)
        elif told.kind == Kind.DEFS:
            self._touched[told.key] = known
            for entry in json.loads(told.frame[HEADER.size :]):
                about = {k: v for k, v in entry[2].items() if k not in ("first", "last")}
                known.definitions[entry[0]] = [*entry[:2], about]
        elif told.kind == Kind.BYE:
            self._touched[told.key] = known
            known.bye = told.frame
        elif told.kind == Kind.EVENT and told.seq > known.events:
            known.events = told.seq
            self._said.append((known.number, told.kind, told.seq, told.frame))
        elif told.kind == Kind.COUNTS:
            sid, _, stop, _ = COUNTS.unpack_from(told.frame, HEADER.size)
            if stop > known.counted.get(sid, -1.0):
                known.counted[sid] = stop
                self._said.append((known.number, told.kind, 0, told.frame))
        elif told.kind == Kind.BUCKETS and known.historic:
            self._rows.setdefault(known.number, []).append(told.frame[HEADER.size :])
        elif told.kind == Kind.HIST and known.historic:
            (sid,) = SID.unpack_from(told.frame, HEADER.size)
            pairs = told.frame[HEADER.size + SID.size :]
            self._bins.setdefault(known.number, []).append((sid, pairs))

    def _hello(self, told: Told, known: Known | None) -> None:
        if known is None or told.anew:
            if known is not None:
                self._anew.append(known.number)
                self._said = [one for one in self._said if one[0] != known.number]
                self._chunks = [one for one in self._chunks if one[0] != known.number]
                for parts in (self._open, self._rows, self._bins):
                    parts.pop(known.number, None)
            numbers = [one.number for one in self._book.sessions.values()]
            number = known.number if known is not None else max(numbers, default=0) + 1
            known = self._book.sessions[told.key] = Known(number)
        hello = json.loads(told.frame[HEADER.size :])
        hello.pop("first_seq", None)
        hello["session"] = f"{HEADER.unpack_from(told.frame)[4]:016x}"
        known.hello, known.origin, known.bye = hello, told.origin, None
        self._touched[told.key] = known

    def _data(self, known: Known, told: Told) -> None:
        known.historic = False
        if told.seq < known.next:
            return
        chunk = self._open.get(known.number)
        if chunk is None or told.seq != known.next:
            chunk = self._open[known.number] = Chunk(told.seq, told.seq, [])
            self._chunks.append((known.number, chunk))
        chunk.last = told.seq
        chunk.frames.append(told.frame)
        known.next = told.seq + 1

    def write(self) -> None:
        """Write it, within a transaction."""
        book = self._book
        for number in self._anew:
            (gone,) = book.base.execute(
                "SELECT sum(length(frames)) FROM data WHERE session = ?", (number,)
            ).fetchone()
            book.exact -= gone or 0
            for table in ("data", "said", "folded"):
                book.base.execute(f"DELETE FROM {table} WHERE session = ?", (number,))
        for key, known in self._touched.items():
            row = known.row()
            if row != known.saved:
                known.saved = row
                book.base.execute(
                    "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (number) DO UPDATE SET origin = excluded.origin, "
                    "hello = excluded.hello, definitions = excluded.definitions, "
                    "bye = excluded.bye",
                    (known.number, key, known.origin, *row),
                )
        for number in {*self._rows, *self._bins}:
            book.put_folded(number, self._with_history(number, book.folded(number)))
        chunks = [
            (number, chunk.first, chunk.last, b"".join(chunk.frames))
            for number, chunk in self._chunks
        ]
        book.base.executemany(
            "INSERT INTO data (session, first, last, frames) VALUES (?, ?, ?, ?)", chunks
        )
        book.base.executemany(
            "INSERT INTO said (session, kind, seq, frame) VALUES (?, ?, ?, ?)", self._said
        )
        book.exact += sum(len(chunk[3]) for chunk in chunks)

    def _with_history(self, number: int, old: Folded) -> Folded:
        """Return what was folded before, and what came folded."""
        rows = np.frombuffer(b"".join(self._rows.get(number, ())), BUCKET_DTYPE).copy()
        rows["series"] += number * MAX_SIDS
        rows = np.concatenate([old.rows, rows])
        parts = [old.bins]
        for sid, pairs in self._bins.get(number, ()):
            found = np.frombuffer(pairs, PAIR_DTYPE)
            bins = np.empty(len(found), BIN_DTYPE)
            bins["series"], bins["bin"], bins["count"] = (
                number * MAX_SIDS + sid, found["bin"], found["count"],
            )  # fmt: skip
            parts.append(bins)
        rows = rows[np.argsort(rows["series"], kind="stable")]
        return Folded(rows, np.concatenate(parts), old.ends)
