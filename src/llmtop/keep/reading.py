"""A run's file -> frames, as a relay would send them to a viewer that comes late.

Sessions come life by life: those of one attempt of a run, by their ranks, and then of the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from llmtop.keep.book import Book, readable
from llmtop.keep.fold import Folded
from llmtop.keep.page import Known
from llmtop.relay.packing import pack_bins, pack_buckets
from llmtop.sources.introduce import HOST_PHASE
from llmtop.sources.processes import birth, is_here
from llmtop.wire import HEADER, MAX_SIDS, RECORD, Kind, json_number, pack, pack_json

DEFS_A_FRAME = 256
"""Names a DEFS frame holds: at most 60 kB."""
GONE = "its process was gone when nobody watched"


def frames(
    book: Book, keys: Collection[str] | None = None, after: int = 0
) -> Iterator[list[bytes]]:
    """Yield the frames of a run, some at a time.

    Args:
        book: The run.
        keys: The sessions that are wanted, None for all.
        after: The place in the file up to which DATA are not wanted.

    Raises:
        ConfigError: the file is damaged.
    """
    with readable(book.path):
        known = [one for key, one in book.sessions.items() if keys is None or key in keys]
        places: dict[int, list[int]] = {one.number: [] for one in known}
        ask = "SELECT place, session FROM data WHERE place > ? ORDER BY place"
        for place, number in book.base.execute(ask, (after,)):
            if number in places:
                places[number].append(place)
        for life in _lives(sorted(known, key=lambda one: one.number)):
            yield from _life(book, life, places)


def _lives(known: list[Known]) -> Iterator[list[Known]]:
    """Yield the sessions of each attempt: one in which a rank comes anew is the next."""
    life: dict[Any, Known] = {}
    for one in known:
        rank = one.hello.get("rank")
        if rank in life:
            yield [*life.values()]
            life = {}
        life[rank] = one
    if life:
        yield [*life.values()]


def _life(book: Book, life: list[Known], places: dict[int, list[int]]) -> Iterator[list[bytes]]:
    ask = book.base.execute
    upcoming: dict[int, int] = {}
    for one in life:
        first = max(one.next, 0)
        if mine := places[one.number]:
            (first,) = ask("SELECT first FROM data WHERE place = ?", (mine[0],)).fetchone()
        upcoming[one.number] = first
        yield opening(book, one, first)
    newest = 0.0
    for place in sorted(place for one in life for place in places[one.number]):
        row = ask("SELECT session, first, last, frames FROM data WHERE place = ?", (place,))
        number, first, last, data = row.fetchone() or (0, 0, 0, b"")
        if not data:
            # Folded or replaced since by whoever writes it.
            continue
        found = list(split(data))
        newest = max(newest, HEADER.unpack_from(found[-1])[6])
        if first > upcoming[number]:
            found.insert(0, lost(found, first - upcoming[number], first))
        upcoming[number] = last + 1
        yield found
    yield [bye for one in life if (bye := ending(one, newest)) is not None]


def lost(came: list[bytes], missing: int, upcoming: int) -> bytes:
    """Return the EVENT that says about how many samples are missing before some DATA.

    Args:
        came: The frames that follow.
        missing: Frames that are missing.
        upcoming: The seq of the first that follows.
    """
    records = sum(HEADER.unpack_from(frame)[3] for frame in came)
    count = round(missing * records / len(came))
    told = {"level": "dropped", "text": "was not kept", "count": count, "next_seq": upcoming}
    return pack_json(Kind.EVENT, told, session=HEADER.unpack_from(came[0])[4])


def split(data: bytes) -> Iterator[bytes]:
    """Yield DATA frames that lie one after another."""
    at = 0
    while at < len(data):
        stop: int = at + HEADER.size + HEADER.unpack_from(data, at)[3] * RECORD.size
        yield data[at:stop]
        at = stop


def opening(book: Book, known: Known, first: int) -> list[bytes]:
    """Return all of a session but its DATA, which begin at seq `first`, and its end."""
    session, folded = int(known.hello["session"], 16), book.folded(known.number)
    hello = {**known.hello, "first_seq": first, "role": "relay"}
    del hello["session"]
    told = [pack_json(Kind.HELLO, hello, session=session, seq=first)]
    entries = _with_ends(known, folded)
    for at in range(0, len(entries), DEFS_A_FRAME):
        told.append(pack_json(Kind.DEFS, entries[at : at + DEFS_A_FRAME], session=session))
    rows = folded.rows.copy()
    rows["series"] -= known.number * MAX_SIDS
    for count, payload in pack_buckets(rows):
        told.append(pack(Kind.BUCKETS, payload, count=count, session=session))
    for series in np.unique(folded.bins["series"]):
        mine = folded.bins[folded.bins["series"] == series]
        counts = np.minimum(mine["count"], 0xFFFFFFFF).astype(np.uint32)
        sid = int(series) - known.number * MAX_SIDS
        told.append(pack_bins(session, sid, mine["bin"], counts))
    said = book.base.execute(
        "SELECT frame FROM said WHERE session = ? ORDER BY place", (known.number,)
    )
    return told + [frame for (frame,) in said]


def _with_ends(known: Known, folded: Folded) -> list[list[Any]]:
    """Return the entries of DEFS, with the points that buckets begin and end with."""
    ends = {}
    for first, last in folded.ends.tolist():
        told = {
            name: [point[1], point[2], json_number(point[3])]
            for name, point in (("first", first), ("last", last))
        }
        ends[first[0] - known.number * MAX_SIDS] = told
    return [
        [sid, name, {**about, **ends.get(sid, {})}]
        for sid, name, about in known.definitions.values()
    ]


def ending(known: Known, newest: float) -> bytes | None:
    """Return how a session ended, None if that is not known: it may go on elsewhere.

    Args:
        known: The session.
        newest: Unix seconds of its newest DATA.
    """
    if known.bye is not None:
        return known.bye
    pid, host = known.hello.get("pid"), known.hello.get("host")
    job = known.hello.get("phase") != HOST_PHASE
    if not (job and isinstance(pid, int) and is_here(str(host))) or birth(pid) is not None:
        return None
    told = {"reason": "died", "text": GONE, "t": newest}
    return pack_json(Kind.BYE, told, session=int(known.hello["session"], 16))
