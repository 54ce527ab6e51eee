"""Whole-run buckets: what consecutive points folded into one look like.

A block holds BUCKET_WORDS columns of `bucket_room` words each, in the order below. Lowest and
highest time and step rather than first and last, because threads may log out of order. The
longest pause inside a bucket is kept, so that a run that was idle for a night shows the night.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8
from llmtop.store.points import Points, changes
from llmtop.store.table import BUCKET_WORDS, NO_STEP_LOW, SeriesTable

TIME_LOW, TIME_HIGH, STEP_LOW, STEP_HIGH, SUM, LOW, HIGH, LAST, COUNTS, PAUSE = range(BUCKET_WORDS)
WHOLE = (STEP_LOW, STEP_HIGH, COUNTS, PAUSE)
"""Columns of int64; the others are float64."""
BAD_SHIFT = 32
"""COUNTS is the number of points plus that of non-finite ones << 32: adding adds both."""
COUNT_MASK = (1 << BAD_SHIFT) - 1
SLACK = 2e-7
"""What rounding a pause's ends to float32 may add to it, relative; it is made shorter by that."""

Block = list[NDArray[Any]]
"""BUCKET_WORDS arrays of one length: the columns of some buckets."""


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
    pause_start: F8
    """Unix seconds where the longest stretch without points begins."""
    pause_stop: F8


def read(table: SeriesTable, series: int) -> Buckets:
    """Return copies of the buckets of one series."""
    block = read_block(table, series)
    low_time, counts = block[TIME_LOW], block[COUNTS]
    pause = block[PAUSE].view(np.float32).reshape(-1, 2).astype(np.float64)
    return Buckets(
        low_time, block[TIME_HIGH], block[STEP_LOW], block[STEP_HIGH], block[SUM], block[LOW],
        block[HIGH], block[LAST], counts & COUNT_MASK, counts >> BAD_SHIFT,
        low_time + pause[:, 0], low_time + pause[:, 1],
    )  # fmt: skip


def read_block(table: SeriesTable, series: int) -> Block:
    """Return copies of the columns of one series' buckets."""
    start, room = int(table.bucket_at[series]), int(table.bucket_room[series])
    used = slice(0, int(table.buckets[series]))
    words = table.arena.real[start : start + BUCKET_WORDS * room].reshape(BUCKET_WORDS, room)
    columns = words[:, used].copy()
    return [
        column.view(np.int64) if place in WHOLE else column for place, column in enumerate(columns)
    ]


def block_of(rows: Buckets) -> Block:
    """Return buckets as columns."""
    pause = _pause(rows.pause_start - rows.low_time, rows.pause_stop - rows.low_time)
    return [
        rows.low_time, rows.high_time, rows.low_step, rows.high_step, rows.sum, rows.low,
        rows.high, rows.last, rows.count + (rows.bad << BAD_SHIFT), pause,
    ]  # fmt: skip


def fold(points: Points, at: I8) -> Block:
    """Return the buckets of points at[0]..at[1] - 1, at[1]..., the last to the end."""
    value, step, time = points.value, points.step, points.time
    finite = np.isfinite(value)
    ends = np.append(at[1:], len(value))
    counts = ends - at
    packed = counts
    if finite.all():
        total, low, high = value, value, value
    else:
        total = np.where(finite, value, 0.0)
        low, high = np.where(finite, value, np.inf), np.where(finite, value, -np.inf)
        packed = counts + (np.add.reduceat((~finite).astype(np.int64), at) << BAD_SHIFT)
    known = step if step.min() >= 0 else np.where(step < 0, NO_STEP_LOW, step)
    low_time = np.minimum.reduceat(time, at)
    longest, after = _silence(time, at, counts)
    after -= low_time
    return [
        low_time, np.maximum.reduceat(time, at), np.minimum.reduceat(known, at),
        np.maximum.reduceat(step, at), np.add.reduceat(total, at), np.minimum.reduceat(low, at),
        np.maximum.reduceat(high, at), value[ends - 1], packed, _pause(after - longest, after),
    ]  # fmt: skip


def join(older: Block, newer: Block) -> Block:
    """Return pairs of buckets, each made one."""
    low_time = np.minimum(older[TIME_LOW], newer[TIME_LOW])
    first, second = (
        np.ascontiguousarray(part[PAUSE]).view(np.float32).reshape(-1, 2).astype(np.float64)
        + (part[TIME_LOW] - low_time)[:, None]
        for part in (older, newer)
    )
    between = np.stack([older[TIME_HIGH] - low_time, newer[TIME_LOW] - low_time], axis=1)
    # A point that came late may lie in what was a pause before.
    first[newer[TIME_LOW] - low_time < first[:, 1]] = 0.0
    second[older[TIME_HIGH] - low_time > second[:, 0]] = 0.0
    longest = first
    for other in (second, between):
        longer = other[:, 1] - other[:, 0] > longest[:, 1] - longest[:, 0]
        longest = np.where(longer[:, None], other, longest)
    return [
        low_time, np.maximum(older[TIME_HIGH], newer[TIME_HIGH]),
        np.minimum(older[STEP_LOW], newer[STEP_LOW]),
        np.maximum(older[STEP_HIGH], newer[STEP_HIGH]), older[SUM] + newer[SUM],
        np.minimum(older[LOW], newer[LOW]), np.maximum(older[HIGH], newer[HIGH]), newer[LAST],
        older[COUNTS] + newer[COUNTS], _pause(longest[:, 0], longest[:, 1]),
    ]  # fmt: skip


def _silence(time: F8, at: I8, counts: I8) -> tuple[F8, F8]:
    """Return of each bucket the longest time between two points, and when the second came."""
    silence = np.diff(time, prepend=time[0])
    silence[at] = 0.0
    if silence.min() < 0:
        time = time[np.lexsort((time, np.repeat(np.arange(len(at)), counts)))]
        silence = np.diff(time, prepend=time[0])
        silence[at] = 0.0
    longest = np.maximum.reduceat(silence, at)
    hits = np.flatnonzero(silence == np.repeat(longest, counts))
    # Of several that are as long, the first of each bucket.
    return longest, time[hits[changes(np.repeat(np.arange(len(at)), counts)[hits])]]


def _pause(start: F8, stop: F8) -> I8:
    """Return offsets from a bucket's lowest time as two float32 in a word."""
    pair = np.stack([start * (1 + SLACK), stop * (1 - SLACK)], axis=1).astype(np.float32)
    packed: I8 = pair.view(np.int64)[:, 0]
    return packed
