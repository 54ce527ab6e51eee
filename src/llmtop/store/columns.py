"""A stretch of an axis cut into columns, each with what fell into it.

Points count exactly. A bucket fills every column its extent touches: where inside it its minimum
and maximum lie is not known, so they show in all of them, and no gap appears that was never there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8
from llmtop.store.points import ranges

FAR = 2.0**40
"""Columns outside a sheet after which a bucket's share no longer matters; keeps floats exact."""
SHORTEST_SPAN = 1e-9
"""A stretch of an axis shorter than this (a nanosecond, a fraction of a step) is a point."""
LONG_PAUSE = 4.0
"""Mean extents of a series' buckets that a pause inside one must exceed to be drawn as a gap."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What fell into each of `count` columns; every array float64 of shape (count,)."""

    low: F8
    """Smallest finite value, NaN = none."""
    mean: F8
    """Mean of the finite values, NaN = none."""
    high: F8
    """Largest finite value, NaN = none."""
    last: F8
    """Newest finite value, NaN = none."""
    n: F8
    """Finite values; a bucket wider than a column shares its count out, so not always whole."""
    bad: F8
    """Values that are NaN or infinite, shared out likewise."""

    @property
    def sum(self) -> F8:
        """Sum of the finite values, 0 where there are none."""
        return np.where(self.n > 0, self.mean * self.n, 0.0)


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of values along an axis: points (low == high) or buckets; shape (n,) each."""

    left: F8
    right: F8
    low: F8
    """Infinity where nothing is finite."""
    high: F8
    sum: F8
    last: F8
    count: F8
    """Finite values."""
    bad: F8

    def pick(self, at: NDArray[np.bool_] | I8 | slice) -> Spans:
        """Return the spans at an index, mask or slice."""
        return Spans(
            self.left[at], self.right[at], self.low[at], self.high[at], self.sum[at],
            self.last[at], self.count[at], self.bad[at],
        )  # fmt: skip

    def parted(self, start: F8, stop: F8, usual: F8 | float) -> tuple[Spans, I8]:
        """Return the spans with those that hold a long pause, from `start` to `stop`, cut in two.

        Both halves keep the extremes, because on which side they were is not known.

        Args:
            start: where the pause of each begins.
            stop: where it ends.
            usual: how long the spans of its series are on average.

        Returns:
            The spans, and which of the old ones each was.
        """
        pause = stop - start
        long = pause > np.maximum(LONG_PAUSE * usual, 0.0)
        long &= (start >= self.left) & (stop <= self.right)
        if not long.any():
            return self, np.arange(len(long))
        of = np.repeat(np.arange(len(long)), 1 + long)
        both = self.pick(of)
        second = np.flatnonzero(long[of] & (np.diff(of, prepend=-1) == 0))
        first = second - 1
        here = of[second]
        both.right[first], both.left[second] = start[here], stop[here]
        before = start[here] - self.left[here]
        after = self.right[here] - stop[here]
        # Each side holds at least one point, however short it is.
        least = np.minimum(1.0 / np.maximum((self.count + self.bad)[here], 1.0), 0.5)
        share = np.clip(before / np.maximum(before + after, 1e-300), least, 1.0 - least)
        for column in (both.sum, both.count, both.bad):
            column[first] *= share
            column[second] *= 1.0 - share
        return both, of


class Sheet:
    """Columns being filled, from older to newer."""

    def __init__(self, start: float, stop: float, count: int) -> None:
        """Cut start..stop (the last column holds `stop` itself) into `count` columns."""
        span = _span(start, stop)
        self.count = count
        self.edges: F8 = start + np.arange(count + 1, dtype=np.float64) * (span / count)
        # Rounding must not leave `stop` outside, nor an edge beyond it.
        self.edges[-1] = max(stop, start + span) if span > stop - start else stop
        np.minimum(self.edges, self.edges[-1], out=self.edges)
        self.low = np.full(count, np.inf)
        self.high = np.full(count, -np.inf)
        self.last = np.full(count, np.nan)
        self.sum = np.zeros(count)
        self.n = np.zeros(count)
        self.bad = np.zeros(count)
        self._scale = count / span
        self._start = start

    def add_points(self, x: F8, value: F8, *, ordered: bool, finite: bool) -> None:
        """Add points at `x`; `ordered`: x never decreases; `finite`: so are all the values."""
        if not ordered:
            order = np.argsort(x, kind="stable")
            x, value = x[order], value[order]
        cuts = np.searchsorted(x, self.edges)
        cuts[-1] = np.searchsorted(x, self.edges[-1], side="right")
        if cuts[0] == cuts[-1]:
            return
        column = np.flatnonzero(cuts[1:] > cuts[:-1])
        value, begin = value[: cuts[-1]], cuts[column]
        counts = cuts[column + 1] - begin
        if finite:
            low, high, total = value, value, value
            last = value[cuts[column + 1] - 1]
        else:
            good = np.isfinite(value)
            low, high = np.where(good, value, np.inf), np.where(good, value, -np.inf)
            total = np.where(good, value, 0.0)
            bad = np.add.reduceat((~good).astype(np.int64), begin)
            self.bad[column] += bad
            counts = counts - bad
            newest = np.maximum.reduceat(np.where(good, np.arange(len(value)), -1), begin)
            last = np.where(counts > 0, value[newest], np.nan)
        self.low[column] = np.minimum(self.low[column], np.minimum.reduceat(low, begin))
        self.high[column] = np.maximum(self.high[column], np.maximum.reduceat(high, begin))
        self.sum[column] += np.add.reduceat(total, begin)
        self.n[column] += counts
        self.last[column] = np.where(counts > 0, last, self.last[column])

    def add_spans(self, spans: Spans) -> None:
        """Add buckets, oldest first, each to every column that it touches."""
        inside = (spans.right >= self.edges[0]) & (spans.left <= self.edges[-1])
        if not inside.any():
            return
        if not inside.all():
            spans = spans.pick(inside)
        first = self._place(spans.left)
        final = self._place(spans.right)
        column = np.maximum(first, 0.0).astype(np.int64)
        extra = np.minimum(final, self.count - 1.0).astype(np.int64) - column
        # Columns beyond either end take their share of the count, but are not drawn.
        share = 1.0 / (final - first + 1.0)
        of = np.repeat(np.arange(len(extra)), extra + 1)
        column = ranges(column, extra + 1)
        steps = np.diff(column, prepend=-1)
        if steps.min() < 0:
            order = np.argsort(column, kind="stable")
            column, of = column[order], of[order]
            steps = np.diff(column, prepend=-1)
        at = np.flatnonzero(steps)
        where = column[at]
        self.low[where] = np.minimum(self.low[where], np.minimum.reduceat(spans.low[of], at))
        self.high[where] = np.maximum(self.high[where], np.maximum.reduceat(spans.high[of], at))
        self.sum[where] += np.add.reduceat((spans.sum * share)[of], at)
        self.n[where] += np.add.reduceat((spans.count * share)[of], at)
        if spans.bad.any():
            self.bad[where] += np.add.reduceat((spans.bad * share)[of], at)
        last = spans.last[of[np.append(at[1:], len(column)) - 1]]
        self.last[where] = np.where(np.isfinite(last), last, self.last[where])

    def _place(self, x: F8) -> F8:
        """Return the column of each x, as whole floats, those outside included."""
        place = np.floor(np.minimum(np.maximum((x - self._start) * self._scale, -FAR), FAR))
        # The end belongs to the last column, also where rounding puts what is just before it.
        place[(place >= self.count) & (x <= self.edges[-1])] = self.count - 1.0
        return place

    def columns(self) -> Columns:
        """Return what was added."""
        some = self.n > 0
        mean = np.divide(self.sum, self.n, out=np.full(self.count, np.nan), where=some)
        return Columns(
            np.where(some, self.low, np.nan), mean, np.where(some, self.high, np.nan),
            self.last, self.n, self.bad,
        )  # fmt: skip


def place(x: F8, start: float, stop: float, count: int) -> I8:
    """Return which of `count` columns of start..stop each x is in, the nearest if in none."""
    span = _span(start, stop)
    column = np.floor(np.clip((x - start) * (count / span), 0, count - 1))
    return column.astype(np.int64)


def _span(start: float, stop: float) -> float:
    """Return the length to divide by: of one point, 1."""
    return stop - start if stop - start > SHORTEST_SPAN else 1.0
