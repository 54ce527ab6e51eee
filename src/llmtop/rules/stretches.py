"""Stretches of many series at once, and every function of the expression language over them.

A `Stretches` holds, for each target, the points that fell into a window, end to end in flat arrays;
the functions reduce all of them in a few numpy calls, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8
from llmtop.store.points import starts_of

ROBUST = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""
SPARSEST = 4
"""Cells a point for which values are still laid out as rows, one a target."""
EMA_POINTS = 20
"""Length of an exponential mean whose window is not in points."""


class Numbers(NamedTuple):
    """A number for each target; where `known` is false there is none."""

    value: F8
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class Stretches:
    """Points of n targets, those of one target together, oldest first."""

    time: F8
    value: F8
    """In the unit of expressions."""
    counts: I8
    """Shape (n,): points of each target."""
    moment: F8
    """Shape (n,): what is now for it."""
    seconds: float | None = None
    """Length of the window, where it is one of time."""
    age: F8 | None = None
    """Shape (n,): seconds since the series began, which a young one is divided by."""
    counter: bool = False
    better_up: bool = False
    by_points: int | None = None
    quantile: float = 0.0

    @cached_property
    def starts(self) -> I8:
        """Where each target's points begin."""
        return starts_of(self.counts)

    @cached_property
    def target(self) -> I8:
        """Whose each point is."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def everywhere(self) -> bool:
        """Whether there are targets and each has points, as is usual."""
        return len(self.counts) > 0 and bool(self.counts.all())

    @cached_property
    def rows(self) -> F8 | None:
        """The values, a row a target, where all have the same number of them."""
        if not self.everywhere or (self.counts != self.counts[0]).any():
            return None
        return self.value.reshape(len(self.counts), -1)

    @cached_property
    def finite(self) -> Stretches:
        """The same without NaN and infinities."""
        good = np.isfinite(self.value)
        if good.all():
            return self
        return self.pick(good)

    @cached_property
    def ordered(self) -> F8:
        """The values, none of them NaN, sorted within each target."""
        if self.rows is not None:
            return np.sort(self.rows, axis=1).ravel()
        width = int(self.counts.max(initial=0))
        if width * len(self.counts) > SPARSEST * len(self.value):
            return self.value[np.lexsort((self.value, self.target))]
        # A sort of rows is ten times faster than one by two keys.
        filled = np.arange(width) < self.counts[:, None]
        rows = np.full(filled.shape, np.inf)
        rows[filled] = self.value
        rows.sort(axis=1)
        return rows[filled]

    def pick(self, at: NDArray[np.bool_]) -> Stretches:
        """Return the points where `at` is true."""
        counts = np.bincount(self.target[at], minlength=len(self.counts)).astype(np.int64)
        return Stretches(
            self.time[at], self.value[at], counts, self.moment, self.seconds, self.age,
            self.counter, self.better_up, self.by_points, self.quantile,
        )  # fmt: skip

    def reduce(self, by: np.ufunc, values: F8) -> F8:
        """Return `by` over each target's part of `values`, NaN for those without any."""
        if self.everywhere:
            reduced: F8 = by.reduceat(values, self.starts)
            return reduced
        out = np.full(len(self.counts), np.nan)
        some = self.counts > 0
        if some.any():
            out[some] = by.reduceat(values, self.starts[some])
        return out

    def at(self, index: I8, values: F8) -> F8:
        """Return values[index] where a target has points, else NaN."""
        if self.everywhere:
            return values[index]
        out = np.full(len(self.counts), np.nan)
        some = self.counts > 0
        out[some] = values[index[some]]
        return out

    def quantiles(self, q: float) -> F8:
        """Return a quantile of each target's values, interpolated as numpy does."""
        place = q * np.maximum(self.counts - 1, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(self.counts - 1, 0))
        low = self.at(self.starts + below, self.ordered)
        high = self.at(self.starts + above, self.ordered)
        return low + (high - low) * (place - below)


Reduction = Callable[[Stretches], Numbers]


def _some(values: F8, of: Stretches) -> Numbers:
    return Numbers(values, of.counts > 0)


def last(of: Stretches) -> Numbers:
    """Return the newest value, as it came."""
    return _some(of.at(of.starts + of.counts - 1, of.value), of)


def first(of: Stretches) -> Numbers:
    """Return the oldest value, as it came."""
    return _some(of.at(of.starts, of.value), of)


def _finite(reduce: Callable[[Stretches], F8]) -> Reduction:
    def function(of: Stretches) -> Numbers:
        return _some(reduce(of.finite), of.finite)

    return function


def _mean(of: Stretches) -> F8:
    return of.reduce(np.add, of.value) / np.maximum(of.counts, 1)


def _std(of: Stretches) -> F8:
    off = of.value - _mean(of)[of.target]
    return np.sqrt(of.reduce(np.add, off * off) / np.maximum(of.counts, 1))


def _ema(of: Stretches) -> F8:
    length = of.by_points or EMA_POINTS
    decay = (length - 1) / (length + 1)
    back = (of.starts + of.counts - 1)[of.target] - np.arange(len(of.value))
    weight = decay ** back.astype(np.float64)
    return of.reduce(np.add, weight * of.value) / of.reduce(np.add, weight)


def _best(of: Stretches) -> F8:
    return of.reduce(np.maximum if of.better_up else np.minimum, of.value)


def total(of: Stretches) -> Numbers:
    """Return the sum; of a counter that exists, 0 where nothing came."""
    good = of.finite
    value = good.reduce(np.add, good.value)
    if not of.counter or of.age is None:
        return _some(value, good)
    known = np.isfinite(of.age)
    return Numbers(np.where(good.counts > 0, value, 0.0), known)


def delta(of: Stretches) -> Numbers:
    """Return what a counter gained, or how far a gauge moved."""
    if of.counter:
        return total(of)
    good = of.finite
    ends = good.at(good.starts + good.counts - 1, good.value)
    return _some(ends - good.at(good.starts, good.value), good)


def rate(of: Stretches) -> Numbers:
    """Return that a second: a counter's over the window (or its age), a gauge's over its points."""
    moved, known = delta(of)
    if of.counter and of.seconds is not None and of.age is not None:
        span = np.clip(of.age, 1.0, of.seconds)
    else:
        good = of.finite
        span = good.at(good.starts + good.counts - 1, good.time) - good.at(good.starts, good.time)
    known = known & (span > 0)
    return Numbers(np.divide(moved, span, out=np.full(len(moved), np.nan), where=known), known)


def slope(of: Stretches) -> Numbers:
    """Return the rise of the least-squares line."""
    good = of.finite
    if good.by_points is not None:
        x = (np.arange(len(good.value)) - good.starts[good.target]).astype(np.float64)
    else:
        x = good.time - good.moment[good.target]
    x = x - (good.reduce(np.add, x) / np.maximum(good.counts, 1))[good.target]
    squares = good.reduce(np.add, x * x)
    known = (good.counts > 1) & (squares > 0)
    up = good.reduce(np.add, x * good.value)
    return Numbers(np.divide(up, squares, out=np.full(len(up), np.nan), where=known), known)


def count(of: Stretches) -> Numbers:
    """Return how many points; 0 where the series exists and nothing came."""
    known = of.counts > 0 if of.age is None else np.isfinite(of.age)
    return Numbers(of.counts.astype(np.float64), known)


def nonfinite(of: Stretches) -> Numbers:
    """Return how many points are not finite."""
    known = of.counts > 0 if of.age is None else np.isfinite(of.age)
    return Numbers((of.counts - of.finite.counts).astype(np.float64), known)


def age(of: Stretches) -> Numbers:
    """Return seconds since the newest point."""
    newest = of.at(of.starts + of.counts - 1, of.time)
    return _some(np.maximum(of.moment - newest, 0.0), of)


def zscore(of: Stretches) -> Numbers:
    """Return how many robust deviations the newest value is off those before it."""
    good = of.finite
    if good.rows is not None and good.rows.shape[1] > 1:
        newest, before = good.rows[:, -1], good.rows[:, :-1]
        middle = np.median(before, axis=1)
        spread = ROBUST * np.median(np.abs(before - middle[:, None]), axis=1)
        known = spread > 0
    else:
        ends = good.starts + good.counts - 1
        newest = good.at(ends, good.value)
        kept = np.ones(len(good.value), np.bool_)
        kept[ends[good.counts > 0]] = False
        rest = good.pick(kept)
        middle = rest.quantiles(0.5)
        off = np.abs(rest.value - middle[rest.target])
        spread = ROBUST * Stretches(rest.time, off, rest.counts, rest.moment).quantiles(0.5)
        known = (rest.counts > 1) & (spread > 0)
    far = newest - middle
    return Numbers(np.divide(far, spread, out=np.full(len(far), np.nan), where=known), known)


REDUCTIONS: dict[str, Reduction] = {
    "last": last, "first": first, "mean": _finite(_mean),
    "min": _finite(lambda of: of.reduce(np.minimum, of.value)),
    "max": _finite(lambda of: of.reduce(np.maximum, of.value)),
    "sum": total, "median": _finite(lambda of: of.quantiles(0.5)), "ema": _finite(_ema),
    "std": _finite(_std), "best": _finite(_best), "delta": delta, "rate": rate, "slope": slope,
    "count": count, "nonfinite": nonfinite, "age": age, "zscore": zscore,
    "quantile": _finite(lambda of: of.quantiles(of.quantile)),
}  # fmt: skip
