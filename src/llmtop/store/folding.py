"""Folding points into whole-run buckets, all series at once.

A bucket is closed after `width` points. When a series has as many buckets as it has room for, it
gets a larger block; when it may not, its buckets are merged in pairs and the width doubles. So any
run fits, every spike stays in some bucket's minimum or maximum, and nothing is sampled away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtop.store import buckets
from llmtop.store.arena import I8
from llmtop.store.buckets import COUNT_MASK, COUNTS, WHOLE, Block, Buckets
from llmtop.store.points import Points, ranges, starts_of
from llmtop.store.table import BUCKET_WORDS, SeriesTable, power_of_two

CACHED_WORDS = 1 << 16
"""Words worked on at once: with what is made of them they stay in a core's cache."""


def push(table: SeriesTable, series: I8, counts: I8, points: Points) -> None:
    """Fold counts[i] points into the buckets of series[i], all series at once."""
    series, counts = series[counts > 0], counts[counts > 0]
    if not len(series):
        return
    _count_distributions(table, series, counts, points)
    _make_room(table, series, counts)
    width, open_count = table.width[series], _open_counts(table, series)
    bucket = ranges(open_count, counts) // np.repeat(width, counts)
    starts = starts_of(counts)
    begins = np.empty(len(bucket), dtype=np.bool_)
    begins[0] = True
    np.not_equal(bucket[1:], bucket[:-1], out=begins[1:])
    begins[starts] = True
    at = np.flatnonzero(begins)
    block = buckets.fold(points, at)
    owner = np.repeat(np.arange(len(series)), counts)[at]
    base = table.buckets[series] - (open_count > 0)
    slot = base[owner] + bucket[at]
    room = table.bucket_room[series][owner]
    word = table.bucket_at[series][owner] + slot
    joins = np.flatnonzero(slot < table.buckets[series][owner])
    if len(joins):
        older = _gather(table, word[joins], room[joins])
        merged = buckets.join(older, [column[joins] for column in block])
        for column, values in zip(block, merged, strict=True):
            column[joins] = values
    _scatter(table, word, room, block)
    table.buckets[series] = base + bucket[starts + counts - 1] + 1


def load(table: SeriesTable, series: int, rows: Buckets) -> None:
    """Put buckets folded elsewhere among those of one series, by time.

    They are history: older than the raw points, and not in the raw ring.
    """
    parts = buckets.read_block(table, series), buckets.block_of(rows)
    block = [np.concatenate(pair) for pair in zip(*parts, strict=True)]
    order = np.argsort(block[buckets.TIME_LOW], kind="stable")
    block = [column[order] for column in block]
    table.buckets[series] = 0
    _grow(table, np.array([series]), np.array([len(order)]))
    room, width = int(table.bucket_room[series]), int(max(table.width[series], rows.count.max()))
    while len(block[0]) > room:
        even = len(block[0]) // 2 * 2
        merged = buckets.join([c[0:even:2] for c in block], [c[1:even:2] for c in block])
        block = [np.concatenate([new, c[even:]]) for new, c in zip(merged, block, strict=True)]
        width *= 2
    word = int(table.bucket_at[series]) + np.arange(len(block[0]))
    _scatter(table, word, np.full(len(word), room), block)
    table.buckets[series], table.width[series] = len(word), width


def _gather(table: SeriesTable, word: I8, room: I8) -> Block:
    """Return the buckets whose first column is at `word` of blocks with that much room."""
    arena = table.arena
    return [
        (arena.whole if column in WHOLE else arena.real)[word + column * room]
        for column in range(BUCKET_WORDS)
    ]


def _scatter(table: SeriesTable, word: I8, room: I8, block: Block) -> None:
    for column, values in enumerate(block):
        memory: NDArray[Any] = table.arena.whole if column in WHOLE else table.arena.real
        memory[word + column * room] = values


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
    used, rooms = table.buckets[series], table.bucket_room[series]
    for chosen, room in _alike(rooms):
        blocks = table.arena.blocks(table.bucket_at[series[chosen]], BUCKET_WORDS * room)
        columns = blocks.reshape(-1, BUCKET_WORDS, room)
        # What is beyond the buckets in use is merged too: it costs less than to leave it out.
        older, newer = (
            [
                column if place in WHOLE else column.view(np.float64)
                for place, column in enumerate(_columns(columns[:, :, first::2]))
            ]
            for first in (0, 1)
        )
        held, odd = used[chosen], used[chosen] % 2 == 1
        lone = columns[odd, :, held[odd] - 1]
        for place, merged in enumerate(buckets.join(older, newer)):
            columns[:, place, : room // 2] = merged.view(np.int64).reshape(len(chosen), -1)
        columns[odd, :, held[odd] // 2] = lone
        table.arena.put(table.bucket_at[series[chosen]], blocks)
    table.buckets[series] = used // 2 + used % 2
    table.width[series] *= 2


def _alike(rooms: I8) -> Iterator[tuple[I8, int]]:
    """Yield the places of series with as much room, a cache's worth at a time, and the room."""
    for room in np.unique(rooms).tolist():
        places, many = np.flatnonzero(rooms == room), max(CACHED_WORDS // (BUCKET_WORDS * room), 1)
        yield from ((places[at : at + many], room) for at in range(0, len(places), many))


def _columns(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return some columns of the blocks of several series, each end to end."""
    return np.ascontiguousarray(columns.transpose(1, 0, 2)).reshape(BUCKET_WORDS, -1)


def _count_distributions(table: SeriesTable, series: I8, counts: I8, points: Points) -> None:
    """Add the points of distributions to their histograms."""
    starts, limit = starts_of(counts), table.entry_limit()
    for place in np.flatnonzero(table.distribution[series]).tolist():
        cut = slice(int(starts[place]), int(starts[place] + counts[place]))
        finite = np.isfinite(points.value[cut])
        histogram = table.histograms[int(series[place])]
        histogram.add(points.time[cut][finite], points.value[cut][finite], limit)
