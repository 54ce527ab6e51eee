"""What the store knows of every series, as columns indexed by series id.

Columns rather than objects, because an append touches thousands of series at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8, WORD_BYTES, Arena
from llmtop.store.histogram import ENTRY_BYTES, SlicedHistogram

MAX_SERIES = 1 << 16
"""Series a store holds: a hub's limit in the wire protocol, and ids that fit 16 bits sort by radix
(10 ns a sample instead of 60)."""
RAW_WORDS = 3
"""Words a raw point takes: time, step, value."""
BUCKET_WORDS = 10
"""Words a bucket takes; see `buckets` for what they are."""
START_POINTS = 64
"""Raw points and buckets a new series has room for: 65 536 such series fill 13/16 of
512 MiB exactly."""
GAUGE_POINTS = 1024
"""Raw points kept of a gauge or counter: five times the columns of a wide terminal."""
DISTRIBUTION_POINTS = 1 << 16
"""Raw points kept of a distribution: sorting them for exact percentiles takes 170 us."""
MAX_BUCKETS = 1024
"""Buckets for a whole run: merging in pairs leaves at least 512, more than a chart has columns."""
SERIES_BYTES = 1024
"""What a series costs outside the arena: its columns here, its object, its names."""
ARENA_SHARE, SERIES_SHARE, HISTOGRAM_SHARE = 13 / 16, 1 / 8, 1 / 16
"""How the memory budget is split; an eighth is SERIES_BYTES for 65 536 series in 512 MiB."""
GAUGE_SHARE, DISTRIBUTION_SHARE, BUCKET_SHARE = 1 / 4, 1 / 4, 1 / 2
"""Parts of the arena that the blocks of one sort may grow into, shared evenly by the series:
10 000 gauges get 256 raw points and 256 buckets each, 3000 get 1024 and 512 or more."""
GROWTH_LIMIT = 7 / 8
"""Blocks stop growing when this much of the arena is used, so that new names still find room."""
OVERFLOW_SERIES = 256
"""Series kept back for overflow, one a run that has any (or a sixteenth of a small store)."""
MIN_ENTRIES, MAX_ENTRIES = 256, 1 << 16
"""Histogram entries a distribution may always, and may at most, hold."""
NO_STEP_LOW = 1 << 62
"""Lowest step of something without steps: larger than any, so that a minimum ignores it."""

_COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "n": (np.int64, 0), "version": (np.int64, 0), "bad": (np.int64, 0),
    "session": (np.int64, -1), "distribution": (np.bool_, 0),
    "retired": (np.bool_, 0), "overflow": (np.bool_, 0),
    "raw_at": (np.int64, 0), "raw_room": (np.int64, 0),
    "written": (np.int64, 0), "folded": (np.int64, 0),
    "bucket_at": (np.int64, 0), "bucket_room": (np.int64, 0),
    "buckets": (np.int64, 0), "width": (np.int64, 1),
    "first_time": (np.float64, np.nan), "first_step": (np.int64, -1),
    "first_value": (np.float64, np.nan),
    "last_time": (np.float64, np.nan), "last_step": (np.int64, -1),
    "last_value": (np.float64, np.nan),
    "low_time": (np.float64, np.inf), "high_time": (np.float64, -np.inf),
    "low_step": (np.int64, NO_STEP_LOW), "high_step": (np.int64, -1),
    "reached": (np.int64, -1),
    "time_mixed": (np.bool_, 0), "step_mixed": (np.bool_, 0),
}  # fmt: skip


class SeriesTable:
    """Columns of shape (capacity,), of which the first `count` are series, and their arena."""

    n: I8
    """Points ever, those that arrived as buckets included."""
    version: I8
    bad: I8
    """Points that are not finite."""
    session: I8
    """Index of the session that feeds the series, -1 = derived."""
    distribution: NDArray[np.bool_]
    retired: NDArray[np.bool_]
    """A later attempt of the same session has begun; new points go to its successor."""
    overflow: NDArray[np.bool_]
    """Every point counts one sample of a name there was no room for."""
    raw_at: I8
    """Word of the ring in the arena: times, then steps, then values."""
    raw_room: I8
    """Points the ring holds, a power of two."""
    written: I8
    """Points that passed through the ring; the next goes to written & (raw_room - 1)."""
    folded: I8
    """Of these, the ones that are in the buckets too; never behind what left the ring."""
    bucket_at: I8
    bucket_room: I8
    buckets: I8
    """Buckets in use, the last one perhaps still open."""
    width: I8
    """Points after which a bucket is closed."""
    first_time: F8
    first_step: I8
    first_value: F8
    last_time: F8
    last_step: I8
    last_value: F8
    low_time: F8
    high_time: F8
    low_step: I8
    high_step: I8
    reached: I8
    """Largest step of the current attempt: below high_step where a full store goes on after it."""
    time_mixed: NDArray[np.bool_]
    """Some point is older than one before it, so times cannot be searched by bisection."""
    step_mixed: NDArray[np.bool_]

    def __init__(self, memory_bytes: int) -> None:
        self.arena = Arena(int(memory_bytes * ARENA_SHARE))
        self.limit = min(MAX_SERIES, int(memory_bytes * SERIES_SHARE) // SERIES_BYTES)
        """Series there may be, if the arena has room for them."""
        self.count = 0
        self.histograms: dict[int, SlicedHistogram] = {}
        self.sheets: dict[tuple[object, ...], Any] = {}
        """What pictures of many ranks remember (see `ranks`), the one drawn last at the end."""
        self.bucketed = 0
        """Series that keep counts by bucket; they share the histograms' memory."""
        self._histogram_entries = int(memory_bytes * HISTOGRAM_SHARE) // ENTRY_BYTES
        self._capacity = 0
        self._extend()
        spare = min(OVERFLOW_SERIES, self.limit // 16)
        raw = self.arena.take(RAW_WORDS * START_POINTS, spare)
        buckets = self.arena.take(BUCKET_WORDS * START_POINTS, spare)
        self._spare = list(zip(raw.tolist(), buckets.tolist(), strict=False))

    def add(self, *, distribution: bool, session: int) -> int:
        """Return the id of a new series with its first blocks, or -1 when there is no room."""
        if self.count + len(self._spare) >= self.limit:
            return -1
        raw = self.arena.take(RAW_WORDS * START_POINTS)
        buckets = self.arena.take(BUCKET_WORDS * START_POINTS)
        if not len(raw) or not len(buckets):
            self.arena.give(RAW_WORDS * START_POINTS, raw)
            self.arena.give(BUCKET_WORDS * START_POINTS, buckets)
            return -1
        return self._new(int(raw[0]), int(buckets[0]), distribution, session)

    def add_overflow(self) -> int:
        """Return the id of a new overflow series, from the room kept back, or -1."""
        if not self._spare:
            return -1
        series = self._new(*self._spare.pop(), False, -1)
        self.overflow[series] = True
        return series

    def _new(self, raw: int, buckets: int, distribution: bool, session: int) -> int:
        if self.count == self._capacity:
            self._extend()
        series = self.count
        self.count += 1
        self.session[series], self.distribution[series] = session, distribution
        self.raw_at[series], self.raw_room[series] = raw, START_POINTS
        self.bucket_at[series], self.bucket_room[series] = buckets, START_POINTS
        if distribution:
            self.histograms[series] = SlicedHistogram()
        return series

    def raw_limit(self, series: I8) -> I8:
        """Return how many raw points each of `series` may hold, by its fair share (powers of 2)."""
        arena = self.arena.words * WORD_BYTES
        gauge = arena * GAUGE_SHARE / max(self.count, 1) / (RAW_WORDS * WORD_BYTES)
        long = arena * DISTRIBUTION_SHARE / max(len(self.histograms), 1) / (RAW_WORDS * WORD_BYTES)
        limits = np.array([_class(gauge, GAUGE_POINTS), _class(long, DISTRIBUTION_POINTS)])
        picked: I8 = limits[self.distribution[series].astype(np.int64)]
        return picked

    def bucket_limit(self) -> int:
        """Return how many buckets a series may hold, by its fair share (a power of 2)."""
        arena = self.arena.words * WORD_BYTES
        return _class(
            arena * BUCKET_SHARE / max(self.count, 1) / (BUCKET_WORDS * WORD_BYTES), MAX_BUCKETS
        )

    def entry_limit(self) -> int:
        """Return how many histogram entries a distribution may hold."""
        fair = self._histogram_entries // max(len(self.histograms) + self.bucketed, 1)
        return min(max(fair, MIN_ENTRIES), MAX_ENTRIES)

    def may_grow(self, words: int) -> int:
        """Return how many blocks of `words` may still be taken for growth."""
        return max(int(self.arena.words * GROWTH_LIMIT) - self.arena.used, 0) // words

    def memory_used(self) -> int:
        """Bytes in use: blocks, histograms and what the series cost besides."""
        entries = sum(histogram.entries for histogram in self.histograms.values())
        return (
            self.arena.used * WORD_BYTES + entries * ENTRY_BYTES + self.count * SERIES_BYTES
        )

    def _extend(self) -> None:
        """Double the columns; a new row starts with each column's default."""
        capacity = max(2 * self._capacity, 64)
        for name, (dtype, default) in _COLUMNS.items():
            column: NDArray[Any] = np.full(capacity, default, dtype=dtype)
            if self._capacity:
                column[: self._capacity] = getattr(self, name)
            setattr(self, name, column)
        self._capacity = capacity


def power_of_two(counts: I8) -> I8:
    """Return the smallest power of two that is no less than each of `counts` (at least 1)."""
    exponent: I8 = np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
    power: I8 = np.int64(1) << exponent
    return power


def _class(fair: float, most: int) -> int:
    """Return the largest power of two within `fair`, between START_POINTS and `most`."""
    return int(min(max(1 << max(int(fair), 1).bit_length() - 1, START_POINTS), most))
