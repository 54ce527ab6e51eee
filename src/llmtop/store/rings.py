"""Raw points: one ring a series, written into all rings at once.

A point is never overwritten before it is in the buckets. Folding is put off: a series is folded
when its ring cannot grow and comes near to overwriting, a stretch at a time, so that the usual
append is three scatters.
"""

from __future__ import annotations

import numpy as np

from llmtop.store import folding
from llmtop.store.arena import I8
from llmtop.store.points import Points, ranges, starts_of
from llmtop.store.table import RAW_WORDS, SeriesTable, power_of_two

FOLD_POINTS = 64
"""Unfolded points after which a gauge is folded ahead of need: the fixed cost spread over 64."""
FOLD_LONG_POINTS = 1024
"""The same for a distribution, whose histogram costs 50 us a fold."""
FOLD_BUDGET = 1 << 16
"""Points folded ahead of need in one append (about 3 ms), beyond as many as arrived: thousands of
series that fill in step must not all be folded in the same tick."""
CACHED_POINTS = 1 << 14
"""Points folded at once: with what is made of them they stay in a core's cache."""
GROW_BUDGET = 1 << 16
"""Points of rings moved to a larger block ahead of need in one append (about 3 ms)."""
START_PART = 2
"""A full-grown ring is folded, at the latest, from this part (a half) of it on: thousands of rings
that fill in step then have the other half to be folded in, a budget at a time."""


def append(table: SeriesTable, series: I8, counts: I8, points: Points) -> None:
    """Append counts[i] points to series[i]; `points` holds them in that order, oldest first."""
    _grow(table, series, counts)
    room = table.raw_room[series]
    tight = counts > room - (table.written[series] - table.folded[series])
    if tight.any():
        fold(table, series[tight])
        over = np.maximum(counts - room, 0)
        if over.any():
            # What the ring could not keep anyway goes straight to the buckets.
            starts = starts_of(counts)
            wide = over > 0
            early = ranges(starts[wide], over[wide])
            folding.push(table, series[wide], over[wide], points.pick(early))
            table.written[series] += over
            table.folded[series] += over
            points = points.pick(ranges(starts + over, counts - over))
            counts = counts - over
    index, room_of = _index(table, series, table.written[series], counts)
    table.arena.real[index] = points.time
    table.arena.whole[index + room_of] = points.step
    table.arena.real[index + 2 * room_of] = points.value
    table.written[series] += counts
    _fold_ahead(table, series, len(points.time))


def fold(table: SeriesTable, series: I8) -> None:
    """Put every point of `series` that is not in their buckets yet into them."""
    waiting = np.cumsum(table.written[series] - table.folded[series])
    if len(waiting) and waiting[-1]:
        for part in np.split(series, _cuts(waiting)):
            _fold(table, part)


def _cuts(waiting: I8) -> I8:
    """Return where to cut series that have so many points, added up, for CACHED_POINTS a part."""
    return np.searchsorted(waiting, np.arange(CACHED_POINTS, waiting[-1], CACHED_POINTS))


def _fold(table: SeriesTable, series: I8) -> None:
    first = table.folded[series]
    counts = table.written[series] - first
    index, room = _index(table, series, first, counts)
    arena = table.arena
    points = Points(arena.real[index], arena.whole[index + room], arena.real[index + 2 * room])
    folding.push(table, series, counts, points)
    table.folded[series] += counts


def latest(table: SeriesTable, series: int, count: int) -> Points:
    """Return copies of the last `count` raw points of one series (fewer if there are fewer)."""
    room, written = int(table.raw_room[series]), int(table.written[series])
    count = max(min(count, room, written), 0)
    start = int(table.raw_at[series])
    head = (written - count) & (room - 1)
    upto = min(head + count, room)
    wrapped = head + count - upto
    ring = table.arena.real[start : start + RAW_WORDS * room].reshape(RAW_WORDS, room)
    time, step, value = np.concatenate([ring[:, head:upto], ring[:, :wrapped]], axis=1)
    return Points(time, step.view(np.int64), value)


def latest_of(table: SeriesTable, series: I8, counts: I8) -> tuple[Points, I8]:
    """Return copies of the last counts[i] raw points of series[i], end to end, and how many."""
    written = table.written[series]
    counts = np.minimum(np.minimum(counts, table.raw_room[series]), written)
    index, room = _index(table, series, written - counts, counts)
    real = table.arena.real
    points = Points(real[index], table.arena.whole[index + room], real[index + 2 * room])
    return points, counts


def _index(table: SeriesTable, series: I8, first: I8, counts: I8) -> tuple[I8, I8]:
    """Return the words of the times of points first... of each series, and each one's room."""
    position = ranges(first, counts)
    room = np.repeat(table.raw_room[series], counts)
    position &= room - 1
    position += np.repeat(table.raw_at[series], counts)
    return position, room


def _grow(table: SeriesTable, series: I8, counts: I8) -> None:
    """Give rings about to overwrite a larger block, as far as fair share and memory allow.

    Some that will need one soon get it too: moving thousands in one tick would be felt.
    """
    written, room = table.written[series], table.raw_room[series]
    near = written + counts > room * 3 // 4
    if not near.any():
        return
    limit = table.raw_limit(series)
    near &= room < limit
    if not near.any():
        return
    full = near & (written + counts > room)
    near &= ~full
    near &= np.cumsum(np.where(near, room, 0)) <= GROW_BUDGET
    need = np.where(near, 2 * room, np.minimum(written, room) + counts)
    want = np.minimum(power_of_two(need), limit)
    larger = (full | near) & (want > room)
    for size in np.unique(want[larger]).tolist():
        chosen = series[larger & (want == size)]
        blocks = table.arena.take(
            RAW_WORDS * size, min(len(chosen), table.may_grow(RAW_WORDS * size))
        )
        if len(blocks):
            _move(table, chosen[: len(blocks)], blocks, size)


def _move(table: SeriesTable, series: I8, blocks: I8, size: int) -> None:
    old_at, old_room = table.raw_at[series], table.raw_room[series]
    held = np.minimum(table.written[series], old_room)
    first = table.written[series] - held
    source, source_room = _index(table, series, first, held)
    table.raw_at[series], table.raw_room[series] = blocks, size
    target, target_room = _index(table, series, first, held)
    whole = table.arena.whole
    for column in range(RAW_WORDS):
        whole[target + column * target_room] = whole[source + column * source_room]
    for room in np.unique(old_room).tolist():
        table.arena.give(RAW_WORDS * room, old_at[old_room == room])


def _fold_ahead(table: SeriesTable, series: I8, arrived: int) -> None:
    """Fold series that will soon need it, within the budget of one append."""
    room = table.raw_room[series]
    waiting = table.written[series] - table.folded[series]
    begun = np.where(table.distribution[series], FOLD_LONG_POINTS, FOLD_POINTS)
    folds = table.buckets[series] > 0
    part = room // START_PART
    ready = waiting >= np.where(folds, np.minimum(begun, part), part)
    if not ready.any():
        return
    ready &= folds | (room >= table.raw_limit(series))
    chosen, amount = series[ready], waiting[ready]
    before = np.cumsum(amount) - amount
    fold(table, chosen[before < FOLD_BUDGET + arrived])
