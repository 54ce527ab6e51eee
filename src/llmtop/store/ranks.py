"""One metric across the ranks of a run.

A picture of a thousand ranks is drawn again and again while little is added to it. So the sheet
behind it is kept, and takes only the points that came since; it is made anew when the columns are
others, and moved when they are the same ones further on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmtop.store import rings
from llmtop.store.arena import F8, I8
from llmtop.store.columns import Spans, place
from llmtop.store.older import before
from llmtop.store.points import Points, ranges
from llmtop.store.series import EVERYTHING, Axis, Series

MOST_CELLS = 1 << 21
"""Ranks times columns of all the sheets kept: 30 charts of 1000 ranks, 32 MiB."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One metric over ranks, column by column; every array float64 of shape (count,)."""

    low: F8
    """Smallest finite value of any rank, so that no rank's spike is lost; NaN = none."""
    median: F8
    """Median over the ranks of their means, NaN = none."""
    high: F8
    n: F8
    """Finite values of all ranks."""
    bad: F8
    """Values that are NaN or infinite."""


def cross_rank(
    series: Sequence[Series], axis: Axis, start: float, stop: float, count: int
) -> Spread:
    """Return the spread of one metric over ranks; `series`: of one run, one a rank."""
    if not series:
        nothing = np.full(count, np.nan)
        return Spread(nothing, nothing, nothing, np.zeros(count), np.zeros(count))
    table = series[0]._table
    ids = np.array([one.id for one in series], np.int64)
    key = axis, series[0].run.started, int(ids[0]), int(ids[-1]), len(ids)
    kept = table.sheets.pop(key, None)
    if not isinstance(kept, _Sheet) or not kept.follow(ids, start, stop, count):
        kept = _Sheet(series[0], ids, axis, start, stop, count)
    kept.take()
    table.sheets[key] = kept
    while len(table.sheets) > 1 and sum(one.n.size for one in table.sheets.values()) > MOST_CELLS:
        table.sheets.pop(next(iter(table.sheets)))
    return kept.spread()


class _Sheet:
    """Sums of each rank and extremes of all, over columns of an axis."""

    def __init__(
        self, first: Series, ids: I8, axis: Axis, start: float, stop: float, count: int
    ) -> None:
        self.ids, self._axis, self._table = ids, axis, first._table
        self._origin = first.run.started if axis == "elapsed" else 0.0
        self._start, self._stop = start, stop
        self.n = np.zeros((len(ids), count))
        self._sum = np.zeros((len(ids), count))
        self._low, self._high = np.full(count, np.inf), np.full(count, -np.inf)
        self._bad = np.zeros(count)
        self._median = np.full(count, np.nan)
        self._stale = np.ones(count, np.bool_)
        """Columns whose median has to be worked out."""
        self._beyond = False
        """Something lies at or after the last column's end, and would be in columns after it."""
        self._written = np.zeros(len(ids), np.int64)
        self._loaded = np.full(len(ids), -1)
        """Points that did not pass through the rings, when the sheet was filled; -1 before."""

    def follow(self, ids: I8, start: float, stop: float, count: int) -> bool:
        """Move to columns start..stop if what is here can stay; False if it cannot."""
        table = self._table
        if count != len(self._low) or not np.array_equal(ids, self.ids):
            return False
        fresh = table.written[ids] - self._written
        if (fresh > table.raw_room[ids]).any():
            return False
        if not np.array_equal(table.n[ids] - table.written[ids], self._loaded):
            return False
        if (start, stop) == (self._start, self._stop):
            return True
        width = (self._stop - self._start) / count
        by = round((start - self._start) / width)
        same = abs(self._start + by * width - start) < 1e-6 * width
        if self._beyond or not same or not 0 < by < count or (
            abs(self._stop + by * width - stop) > 1e-6 * width
        ):
            return False
        for kept, empty in ((self.n, 0.0), (self._sum, 0.0), (self._low, np.inf), (self._bad, 0.0),
                            (self._high, -np.inf), (self._median, np.nan), (self._stale, False)):
            kept[..., :-by] = kept[..., by:].copy()
            kept[..., -by:] = empty
        self._start, self._stop = start, stop
        return True

    def take(self) -> None:
        """Take in the points that came since the last time."""
        table, ids = self._table, self.ids
        written = table.written[ids]
        fresh = written - self._written
        filled = bool((self._loaded >= 0).all())
        if not filled:
            fresh[:] = EVERYTHING
        some = np.flatnonzero(fresh)
        if not len(some):
            return
        points, counts = rings.latest_of(table, ids[some], fresh[some])
        x = self._along(points)
        with np.errstate(over="ignore", invalid="ignore"):
            if not filled:
                rows, older = before(
                    table, ids, counts, x, points.value, steps=self._axis == "step",
                    origin=self._origin,
                )  # fmt: skip
                self._add_spans(rows, older)
                self._loaded = table.n[ids] - written
            self._add_points(np.repeat(some, counts), x, points.value)
        self._written = written

    def spread(self) -> Spread:
        """Return what was taken in."""
        columns = np.flatnonzero(self._stale)
        if len(columns):
            n = self.n[:, columns]
            means = np.divide(self._sum[:, columns], n, out=np.full(n.shape, np.nan), where=n > 0)
            self._median[columns] = _median(means)
            self._stale[:] = False
        n = self.n.sum(axis=0)
        some = n > 0
        return Spread(np.where(some, self._low, np.nan), self._median.copy(),
                      np.where(some, self._high, np.nan), n, self._bad.copy())

    def _along(self, points: Points) -> F8:
        if self._axis == "step":
            return np.where(points.step < 0, np.nan, points.step)
        return points.time - self._origin

    def _add_points(self, row: I8, x: F8, value: F8) -> None:
        self._beyond |= bool((x >= self._stop).any())
        inside = (x >= self._start) & (x <= self._stop)
        if not inside.all():
            row, x, value = row[inside], x[inside], value[inside]
        count = len(self._low)
        column = place(x, self._start, self._stop, count)
        self._stale[column] = True
        finite = np.isfinite(value)
        if not finite.all():
            np.add.at(self._bad, column[~finite], 1.0)
            row, column, value = row[finite], column[finite], value[finite]
        flat = row * count + column
        np.add.at(self.n.reshape(-1), flat, 1.0)
        np.add.at(self._sum.reshape(-1), flat, value)
        np.minimum.at(self._low, column, value)
        np.maximum.at(self._high, column, value)

    def _add_spans(self, row: I8, spans: Spans) -> None:
        """Add buckets, each to every column that it touches."""
        self._beyond |= bool((spans.right >= self._stop).any())
        inside = (spans.right >= self._start) & (spans.left <= self._stop)
        row, spans = row[inside], spans.pick(inside)
        count = len(self._low)
        first, final = self._place(spans.left), self._place(spans.right)
        share = 1.0 / (final - first + 1.0)
        begin = np.clip(first, 0, count - 1).astype(np.int64)
        wide = np.clip(final, 0, count - 1).astype(np.int64) - begin + 1
        column, of = ranges(begin, wide), np.repeat(np.arange(len(wide)), wide)
        flat = row[of] * count + column
        np.add.at(self.n.reshape(-1), flat, (spans.count * share)[of])
        np.add.at(self._sum.reshape(-1), flat, (spans.sum * share)[of])
        np.add.at(self._bad, column, (spans.bad * share)[of])
        np.minimum.at(self._low, column, spans.low[of])
        np.maximum.at(self._high, column, spans.high[of])
        self._stale[column] = True

    def _place(self, x: F8) -> F8:
        """Return the column of each x as whole floats, those outside included."""
        count = len(self._low)
        column = np.floor((x - self._start) * (count / (self._stop - self._start)))
        # The end belongs to the last column.
        return np.where(x <= self._stop, np.minimum(column, count - 1.0), column)


def _median(rows: F8) -> F8:
    """Return the median of each column of `rows`, NaN left out, without numpy's warnings."""
    ordered = np.sort(rows, axis=0)
    known = np.maximum((~np.isnan(ordered)).sum(axis=0), 1)
    at = np.arange(rows.shape[1])
    low, high = ordered[(known - 1) // 2, at], ordered[known // 2, at]
    middle: F8 = (low + high) / 2
    return middle
