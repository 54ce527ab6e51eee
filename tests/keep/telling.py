"""Frames of sessions as a relay would pass them on, and what comes out of a file again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmtop.clock import SystemClock
from llmtop.keep.book import Book
from llmtop.keep.page import Told
from llmtop.keep.reading import frames
from llmtop.keep.source import Kept
from llmtop.sources.intake import Intake
from llmtop.store import Store
from llmtop.wire import RECORD, Kind, pack, pack_json, unpack

START = 1_790_000_000.0
Point = tuple[int, float, int, float]
"""sid, time after START, step, value."""


def hello(session: int, **about: Any) -> Told:
    said = {"role": "relay", "name": "run", "host": "elsewhere", "pid": 1, "started": START,
            "first_seq": 0, **about}
    frame = pack_json(Kind.HELLO, said, session=session)
    return Told(key(session), Kind.HELLO, 0, frame, "local")


def defs(session: int, *names: str, **about: Any) -> Told:
    entries = [[sid, name, about] for sid, name in enumerate(names)]
    return Told(key(session), Kind.DEFS, 0, pack_json(Kind.DEFS, entries, session=session))


def data(session: int, seq: int, points: Sequence[Point]) -> Told:
    records = b"".join(
        RECORD.pack(sid, round(time * 1e6), step, value) for sid, time, step, value in points
    )
    frame = pack(Kind.DATA, records, count=len(points), session=session, seq=seq, t0=START)
    return Told(key(session), Kind.DATA, seq, frame)


def event(session: int, seq: int, text: str) -> Told:
    said = {"t": START + seq, "level": "info", "text": text}
    return Told(key(session), Kind.EVENT, seq,
                pack_json(Kind.EVENT, said, session=session, seq=seq))


def bye(session: int, reason: str = "finished") -> Told:
    said = {"reason": reason, "text": "", "t": START + 1000}
    return Told(key(session), Kind.BYE, 0, pack_json(Kind.BYE, said, session=session))


def key(session: int) -> str:
    return f"{session:016x}"


def write(path: Path, *pages: Iterable[Told]) -> None:
    book = Book(path, write=True)
    for page in pages:
        book.write(page, {"name": "run"})
    book.close()


def points_in(path: Path, lost: int = 0) -> list[tuple[str, Point]]:
    """Return every point that comes of a file by a hub's intake, which tells of so many lost."""
    dropped = 0
    intake = Intake(SystemClock())
    book = Book(path)
    names: dict[int, tuple[str, int]] = {}
    found = []
    for some in [*frames(book), []]:
        for one in some:
            intake.frame(b"", one)
        batch = intake.take()
        if batch is None:
            continue
        for info in batch.series:
            names[info.key] = info.run, int(info.name)
        dropped += batch.dropped
        if batch.samples is not None:
            columns = batch.samples
            rows = zip(columns.series.tolist(), columns.time.tolist(), columns.step.tolist(),
                       columns.value.tolist(), strict=True)
            found += [
                (names[series][0], (names[series][1], round(time - START, 6), step, value))
                for series, time, step, value in rows
            ]
    book.close()
    assert (intake.bad, dropped) == (0, lost)
    return found


def loaded(path: Path) -> Store:
    """Return a store that holds a kept run."""
    import threading

    clock = SystemClock()
    store = Store(memory_bytes=64 << 20)
    for batch in Kept(path, "kept", clock=clock).batches(threading.Event()):
        store.apply(0, batch, clock.time())
        store.commit(clock.time())
    store.commit(clock.time(), settle=True)
    return store


def kinds(path: Path) -> list[int]:
    book = Book(path)
    found = [unpack(one).kind for some in frames(book) for one in some]
    book.close()
    return found
