"""What a server counted by bucket, look by look: the newest as they came, older ones merged."""

from __future__ import annotations

import numpy as np

from llmtop.store.arena import F8, I8
from llmtop.store.points import changes

START_ROWS = 64
MAX_ROWS = 1024
"""Rows of one series: what lies beyond eight minutes has two rows a column of a chart."""
LEAST_ROWS = 64
"""Rows a series may always hold."""
NEWEST_SHARE = 2
"""One row in so many is kept as it came: the last eight minutes at a look a second."""
START_WIDTH = 2.0
"""Seconds that merged rows span at first; it doubles when there are too many."""


class Increments:
    """Rows of counts of one set of bounds, in order of time, in bounded memory."""

    def __init__(self) -> None:
        self.bounds: F8 = np.array([np.inf])
        self.total = 0
        """Observations ever, those before the bounds changed included."""
        self.total_sum = 0.0
        self.rows = 0
        self._width = START_WIDTH
        self._begin(1, START_ROWS)

    @property
    def start(self) -> F8:
        """Unix seconds of the look before each row, shape (rows,)."""
        return self._start[: self.rows]

    @property
    def stop(self) -> F8:
        """Unix seconds of each row's own look."""
        return self._stop[: self.rows]

    @property
    def sum(self) -> F8:
        """Sum of the observations of each row."""
        return self._sum[: self.rows]

    @property
    def counts(self) -> I8:
        """Observations by bucket, shape (rows, len(bounds))."""
        return self._counts[: self.rows]

    @property
    def bytes(self) -> int:
        """Memory the rows take."""
        return self._counts.nbytes + 3 * self._start.nbytes

    def add(
        self, start: float, stop: float, bounds: F8, counts: I8, total: float, limit: int
    ) -> None:
        """Add what was counted from start to stop; other bounds than before begin anew.

        Args:
            start: unix seconds, no earlier than the last row's stop.
            stop: unix seconds.
            bounds: upper bounds, the last one infinity.
            counts: observations in each bucket.
            total: sum of the observations.
            limit: bytes the rows may take.
        """
        if bounds is not self.bounds and not np.array_equal(bounds, self.bounds):
            self.bounds, self.rows, self._width = bounds, 0, START_WIDTH
            self._begin(len(bounds), START_ROWS)
        self.total += int(counts.sum())
        self.total_sum += total
        if self.rows == len(self._start):
            self._make_room(limit)
        at = self.rows
        self._start[at], self._stop[at], self._sum[at] = start, stop, total
        self._counts[at] = counts
        self.rows += 1

    def since(self, time: float | None) -> slice:
        """Return the rows that lie at least half after a time; all of them for None."""
        if time is None:
            return slice(None)
        return slice(int(np.searchsorted((self.start + self.stop) / 2, time)), None)

    def _begin(self, buckets: int, room: int) -> None:
        self._start, self._stop, self._sum = np.zeros(room), np.zeros(room), np.zeros(room)
        self._counts = np.zeros((room, buckets), np.int64)

    def _make_room(self, limit: int) -> None:
        row_bytes = 8 * (len(self.bounds) + 3)
        most = min(max(limit // row_bytes, LEAST_ROWS), MAX_ROWS)
        if self.rows < most:
            self._grow(min(2 * self.rows, most))
            return
        while self.rows > most * 3 // 4:
            self._merge(most // NEWEST_SHARE)
            self._width *= 2

    def _grow(self, room: int) -> None:
        start, stop, total, counts = self.start, self.stop, self.sum, self.counts
        self._begin(len(self.bounds), room)
        columns = (self._start, self._stop, self._sum, self._counts)
        for column, held in zip(columns, (start, stop, total, counts), strict=True):
            column[: self.rows] = held

    def _merge(self, newest: int) -> None:
        """Merge all but the newest rows into rows of `_width` seconds."""
        old = max(self.rows - newest, 0)
        begins = changes(np.floor(self.start[:old] / self._width).astype(np.int64))
        keep = len(begins)
        ends = np.append(begins[1:], old) - 1
        merged = (
            self.start[begins], self.stop[ends], np.add.reduceat(self.sum[:old], begins),
            np.add.reduceat(self.counts[:old], begins, axis=0),
        )  # fmt: skip
        columns = (self._start, self._stop, self._sum, self._counts)
        for column, part in zip(columns, merged, strict=True):
            rest = column[old : self.rows].copy()
            column[:keep], column[keep : keep + len(rest)] = part, rest
        self.rows = keep + self.rows - old
