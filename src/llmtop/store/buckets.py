"""Whole-run buckets: consecutive points folded into minimum, maximum, sum and extents.

A bucket is closed after `width` points. When a series has as many buckets as it has room for, it
gets a larger block; when it may not, its buckets are merged in pairs and the width doubles. So any
run fits, every spike stays in some bucket's minimum or maximum, and nothing is sampled away.

A block holds BUCKET_WORDS columns of `bucket_room` words each, in the order below. Lowest and
highest time and step rather than first and last, because threads may log out of order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8
from llmtop.store.points import Points, ranges, starts_of
from llmtop.store.table import BUCKET_WORDS, NO_STEP_LOW, SeriesTable, power_of_two

TIME_LOW, TIME_HIGH, STEP_LOW, STEP_HIGH, SUM, LOW, HIGH, LAST, COUNTS = range(BUCKET_WORDS)
_WHOLE = (STEP_LOW, STEP_HIGH, COUNTS)
BAD_SHIFT = 32
"""COUNTS is the number of points plus that of non-finite ones << 32: adding adds both."""
COUNT_MASK = (1 << BAD_SHIFT) - 1


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of one series, oldest first; every array of shape (buckets,)."""

    low_time: F8
    high_time: F8
    low_step: I8
    high_step: I8
    """-1 = no point of the bucket has a step."""
    sum: F8
    low: F8
    """Infinity where no point is finite."""
    high: F8
    last: F8
    """The newest value as it came."""
    count: I8
    """Points, the non-finite ones included."""
    bad: I8
    """Points that are not finite."""


def read(table: SeriesTable, series: int) -> Buckets:
    """Return copies of the buckets of one series."""
    start, room = int(table.bucket_at[series]), int(table.bucket_room[series])
    block = slice(start, start + BUCKET_WORDS * room)
    used = slice(0, int(table.buckets[series]))
    real = table.arena.real[block].reshape(BUCKET_WORDS, room)[:, used].copy()
    whole = real.view(np.int64)
    counts = whole[COUNTS]
    return Buckets(
        real[TIME_LOW], real[TIME_HIGH], whole[STEP_LOW], whole[STEP_HIGH], real[SUM], real[LOW],
        real[HIGH], real[LAST], counts & COUNT_MASK, counts >> BAD_SHIFT,
    )  # fmt: skip


def push(table: SeriesTable, series: I8, counts: I8, points: Points) -> None:
    """Fold counts[i] points into the buckets of series[i], all series at once."""
    series, counts = series[counts > 0], counts[counts > 0]
    if not len(series):
        return
    _count_distributions(table, series, counts, points)
    _make_room(table, series, counts)
    width, open_count = table.width[series], _open_counts(table, series)
    order = ranges(open_count, counts)
    bucket = order // np.repeat(width, counts)
    starts = starts_of(counts)
    begins = np.empty(len(order), dtype=np.bool_)
    begins[0] = True
    np.not_equal(bucket[1:], bucket[:-1], out=begins[1:])
    begins[starts] = True
    at = np.flatnonzero(begins)
    columns = _reduce(points, at)
    owner = np.repeat(np.arange(len(series)), counts)[at]
    base = table.buckets[series] - (open_count > 0)
    slot = base[owner] + bucket[at]
    room = table.bucket_room[series][owner]
    word = table.bucket_at[series][owner] + slot
    joins = np.flatnonzero(slot < table.buckets[series][owner])
    arena = table.arena
    for column, values in enumerate(columns):
        memory: NDArray[Any] = arena.whole if column in _WHOLE else arena.real
        target = word + column * room
        if len(joins):
            values[joins] = _join(column, memory[target[joins]], values[joins])
        memory[target] = values
    table.buckets[series] = base + bucket[starts + counts - 1] + 1


def load(table: SeriesTable, series: int, rows: Buckets) -> None:
    """Put buckets folded elsewhere among those of one series, by time.

    They are history: older than the raw points, and not in the raw ring.
    """
    held = read(table, series)
    joined = [
        np.concatenate([getattr(held, name), getattr(rows, name)]) for name in Buckets.__slots__
    ]
    order = np.argsort(joined[0], kind="stable")
    counts = joined[-2] + (joined[-1] << BAD_SHIFT)
    columns = [column[order] for column in (*joined[:-2], counts)]
    one = np.array([series])
    table.buckets[series] = 0
    _grow(table, one, np.array([len(order)]))
    room, width = int(table.bucket_room[series]), int(max(table.width[series], rows.count.max()))
    while len(columns[0]) > room:
        even = len(columns[0]) // 2 * 2
        columns = [
            np.concatenate([_join(place, column[0:even:2], column[1:even:2]), column[even:]])
            for place, column in enumerate(columns)
        ]
        width *= 2
    start = int(table.bucket_at[series])
    for place, column in enumerate(columns):
        memory: NDArray[Any] = table.arena.whole if place in _WHOLE else table.arena.real
        memory[start + place * room : start + place * room + len(column)] = column
    table.buckets[series], table.width[series] = len(columns[0]), width


def _reduce(points: Points, at: I8) -> list[NDArray[Any]]:
    """Return the columns of the buckets that begin at points `at`."""
    value, step = points.value, points.step
    finite = np.isfinite(value)
    ends = np.append(at[1:], len(points.time))
    counts = ends - at
    if finite.all():
        total, low, high = value, value, value
    else:
        total = np.where(finite, value, 0.0)
        low, high = np.where(finite, value, np.inf), np.where(finite, value, -np.inf)
        counts = counts + (np.add.reduceat((~finite).astype(np.int64), at) << BAD_SHIFT)
    known = step if step.min() >= 0 else np.where(step < 0, NO_STEP_LOW, step)
    return [
        np.minimum.reduceat(points.time, at), np.maximum.reduceat(points.time, at),
        np.minimum.reduceat(known, at), np.maximum.reduceat(step, at),
        np.add.reduceat(total, at), np.minimum.reduceat(low, at), np.maximum.reduceat(high, at),
        value[ends - 1], counts,
    ]  # fmt: skip


def _join(column: int, older: NDArray[Any], newer: NDArray[Any]) -> NDArray[Any]:
    """Return one column of two buckets made one."""
    joined: NDArray[Any]
    if column in (TIME_LOW, STEP_LOW, LOW):
        joined = np.minimum(older, newer)
    elif column in (TIME_HIGH, STEP_HIGH, HIGH):
        joined = np.maximum(older, newer)
    else:
        joined = newer if column == LAST else older + newer
    return joined


def _open_counts(table: SeriesTable, series: I8) -> I8:
    """Return the points in each series' open bucket, 0 where the last one is closed."""
    used = table.buckets[series]
    word = table.bucket_at[series] + COUNTS * table.bucket_room[series] + np.maximum(used, 1) - 1
    filled = np.where(used > 0, table.arena.whole[word] & COUNT_MASK, 0)
    return np.where(filled < table.width[series], filled, 0)


def _make_room(table: SeriesTable, series: I8, counts: I8) -> None:
    """Grow or merge until `counts` more points fit into the buckets of each series."""
    while True:
        width, open_count = table.width[series], _open_counts(table, series)
        closed = table.buckets[series] - (open_count > 0)
        need = closed + (open_count + counts + width - 1) // width
        tight = need > table.bucket_room[series]
        if not tight.any():
            return
        series, counts, need = series[tight], counts[tight], need[tight]
        _grow(table, series, need)
        still = need > table.bucket_room[series]
        series, counts = series[still], counts[still]
        if not len(series):
            return
        _merge_pairs(table, series)


def _grow(table: SeriesTable, series: I8, need: I8) -> None:
    """Give series a block for `need` buckets, as far as fair share and memory allow."""
    want = np.minimum(power_of_two(need), table.bucket_limit())
    larger = want > table.bucket_room[series]
    for size in np.unique(want[larger]).tolist():
        words = BUCKET_WORDS * size
        chosen = series[larger & (want == size)]
        blocks = table.arena.take(words, min(len(chosen), table.may_grow(words)))
        if not len(blocks):
            continue
        chosen = chosen[: len(blocks)]
        old_at, old_room = table.bucket_at[chosen], table.bucket_room[chosen]
        used = table.buckets[chosen]
        source, target = ranges(old_at, used), ranges(blocks, used)
        step = np.repeat(old_room, used)
        for column in range(BUCKET_WORDS):
            table.arena.whole[target + column * size] = table.arena.whole[source + column * step]
        table.bucket_at[chosen], table.bucket_room[chosen] = blocks, size
        for room in np.unique(old_room).tolist():
            table.arena.give(BUCKET_WORDS * room, old_at[old_room == room])


def _merge_pairs(table: SeriesTable, series: I8) -> None:
    """Merge buckets 2j and 2j + 1 into bucket j, for all series at once; widths double."""
    at, used = table.bucket_at[series], table.buckets[series]
    pairs, odd = used // 2, used % 2 == 1
    inner = ranges(np.zeros_like(pairs), pairs)
    start, room = np.repeat(at, pairs), np.repeat(table.bucket_room[series], pairs)
    lone_from, lone_to = (at + used - 1)[odd], (at + pairs)[odd]
    lone_room = table.bucket_room[series][odd]
    for column in range(BUCKET_WORDS):
        memory: NDArray[Any] = table.arena.whole if column in _WHOLE else table.arena.real
        older = start + 2 * inner + column * room
        joined = _join(column, memory[older], memory[older + 1])
        lone = memory[lone_from + column * lone_room]
        memory[start + inner + column * room] = joined
        memory[lone_to + column * lone_room] = lone
    table.buckets[series] = pairs + odd
    table.width[series] *= 2


def _count_distributions(table: SeriesTable, series: I8, counts: I8, points: Points) -> None:
    """Add the points of distributions to their histograms."""
    starts, limit = starts_of(counts), table.entry_limit()
    for place in np.flatnonzero(table.distribution[series]).tolist():
        cut = slice(int(starts[place]), int(starts[place] + counts[place]))
        finite = np.isfinite(points.value[cut])
        histogram = table.histograms[int(series[place])]
        histogram.add(points.time[cut][finite], points.value[cut][finite], limit)
