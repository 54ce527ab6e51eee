"""Keeping a run's file within its share: the oldest DATA are folded, the oldest looks merged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from llmtop.keep.book import Book
from llmtop.keep.fold import (
    BUCKETS_A_SERIES,
    FEWEST_BUCKETS,
    MAX_BUCKETS,
    Folded,
    fold,
    join,
    read_points,
)
from llmtop.keep.page import Known
from llmtop.wire import COUNT, COUNTS, HEADER, MAX_SIDS, Kind, pack

PIECE_BYTES = 4 << 20
"""DATA folded in one go: 170,000 points, which take 25 MB meanwhile."""
MAX_EVENTS = 2000
"""Events and lines of output kept of a run: what the screen keeps of it."""
MAX_LOOKS = 16_384
"""Looks at servers kept of a run one by one: half an hour of ten series."""

Chunk = tuple[int, int, int, bytes]
"""Place, session, last seq, frames."""


def trim(book: Book, room: int) -> bool:
    """Fold the oldest half if there is more than `room` bytes of DATA; tell whether.

    Raises:
        sqlite3.Error: it could not be written; the book is to be opened anew.
    """
    sessions = {known.number: known for known in book.sessions.values()}
    (folded,) = book.base.execute("SELECT total(length(rows)) FROM folded").fetchone()
    # To fold a little into very much would write the much anew all the time.
    room = max(room, 4 * int(folded))
    if book.exact <= room:
        return False
    series = sum(len(known.definitions) for known in sessions.values())
    most = max(FEWEST_BUCKETS, min(BUCKETS_A_SERIES, MAX_BUCKETS // max(series, 1)))
    with book.transaction():
        oldest = list(_oldest(book, room // 2))
        for piece in _pieces(oldest):
            _fold_piece(book, sessions, piece, most)
        book.base.execute("DELETE FROM data WHERE place <= ?", (oldest[-1][0],))
    book.exact -= sum(len(frames) for _, _, _, frames in oldest)
    return True


def _oldest(book: Book, size: int) -> Iterator[Chunk]:
    """Yield the oldest chunks, `size` bytes of them."""
    rows = book.base.execute("SELECT place, session, last, frames FROM data ORDER BY place")
    for row in rows:
        yield row
        size -= len(row[3])
        if size <= 0:
            return


def _pieces(chunks: list[Chunk]) -> Iterator[list[Chunk]]:
    """Yield the chunks session by session, so many at once that they are worth a fold."""
    piece: list[Chunk] = []
    size = 0
    for chunk in sorted(chunks, key=lambda chunk: chunk[1]):
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(chunk)
        size += len(chunk[3])
    if piece:
        yield piece


def _fold_piece(book: Book, sessions: dict[int, Known], piece: list[Chunk], most: int) -> None:
    numbers = sorted({chunk[1] for chunk in piece})
    spread = [
        number * MAX_SIDS + sid for number in numbers
        for sid, entry in sessions[number].definitions.items()
        if entry[2].get("kind") == "distribution"
    ]  # fmt: skip
    points = read_points([(number, frames) for _, number, _, frames in piece])
    before = [book.folded(number) for number in numbers]
    old = Folded(*(join(parts) for parts in zip(*before, strict=True)))
    new = fold(old, points, np.array(spread, np.uint32), most)
    keys = (new.rows["series"], new.bins["series"], new.ends["first"]["series"])
    edges = np.array([*numbers, numbers[-1] + 1], np.uint32) * MAX_SIDS
    parts = [
        np.split(part, np.searchsorted(np.ascontiguousarray(key), edges))[1:-1]
        for part, key in zip(new, keys, strict=True)
    ]
    upcoming = {number: last + 1 for _, number, last, _ in piece}
    for number, *mine in zip(numbers, *parts, strict=True):
        book.put_folded(number, Folded(*mine), upcoming[number])


def trim_said(book: Book) -> None:
    """Let the oldest events go, and merge old looks at servers two by two, if there are too many.

    Raises:
        sqlite3.Error: it could not be written; the book is to be opened anew.
    """
    ask = book.base.execute
    for kind in (Kind.EVENT, Kind.COUNTS):
        (count,) = ask("SELECT count(*) FROM said WHERE kind = ?", (kind,)).fetchone()
        if kind == Kind.EVENT and count > 2 * MAX_EVENTS:
            with book.transaction():
                ask("DELETE FROM said WHERE place IN (SELECT place FROM said WHERE kind = ? "
                    "ORDER BY place LIMIT ?)", (kind, count - MAX_EVENTS))
        elif kind == Kind.COUNTS and count > MAX_LOOKS:
            with book.transaction():
                _merge_looks(book, count // 2)


def _merge_looks(book: Book, most: int) -> None:
    """Merge the oldest looks, each with the next one of its series."""
    waiting: dict[tuple[int, int], tuple[int, bytes]] = {}
    merged: list[tuple[bytes, int, int]] = []
    gone: list[tuple[int]] = []
    for place, number, seq, frame in book.base.execute(
        "SELECT place, session, seq, frame FROM said WHERE kind = ? ORDER BY place LIMIT ?",
        (Kind.COUNTS, most),
    ):
        key = number, COUNTS.unpack_from(frame, HEADER.size)[0]
        before = waiting.pop(key, None)
        both = _merged(before[1], frame) if before is not None else None
        if before is None or both is None:
            waiting[key] = place, frame
            continue
        merged.append((both, seq, place))
        gone.append((before[0],))
    book.base.executemany("UPDATE said SET frame = ?, seq = ? WHERE place = ?", merged)
    book.base.executemany("DELETE FROM said WHERE place = ?", gone)


def _merged(one: bytes, two: bytes) -> bytes | None:
    """Return the COUNTS of two looks as of one, None if their buckets are not the same."""
    start = HEADER.size + COUNTS.size
    pairs = [list(COUNT.iter_unpack(frame[start:])) for frame in (one, two)]
    if [bound for bound, _ in pairs[0]] != [bound for bound, _ in pairs[1]]:
        return None
    sid, begin, _, first = COUNTS.unpack_from(one, HEADER.size)
    _, _, stop, second = COUNTS.unpack_from(two, HEADER.size)
    counts = b"".join(
        COUNT.pack(bound, n + m) for (bound, n), (_, m) in zip(*pairs, strict=True)
    )
    session = HEADER.unpack_from(two)[4]
    return pack(Kind.COUNTS, COUNTS.pack(sid, begin, stop, first + second) + counts,
                count=len(pairs[0]), session=session)
