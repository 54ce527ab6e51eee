"""A series of which only counts by bucket are known: what a scraped histogram tells.

Its raw points are the means of what was observed between two looks, which are exact; its
quantiles are estimates from the counts of the window asked for, each with the bucket it lies in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from llmtop.samples import Bucketed
from llmtop.store import bounds
from llmtop.store.arena import F8, I8
from llmtop.store.columns import Columns, place
from llmtop.store.increments import Increments
from llmtop.store.quantiles import Quantiles
from llmtop.store.series import Axis, Series, Summary


def _are_bounds(edges: F8) -> bool:
    """Tell whether upper bounds ascend to infinity."""
    return len(edges) > 0 and bool(np.isposinf(edges[-1])) and bool((np.diff(edges) > 0).all())


@dataclass(eq=False, slots=True)
class BucketedSeries(Series):
    """A distribution behind a server's own buckets."""

    increments: Increments = field(default_factory=Increments)

    def take(self, part: Bucketed, limit: int) -> bool:
        """Add what was counted between two looks; tell whether it can be used."""
        counts, edges = part.counts, part.bounds
        known = edges is self.increments.bounds or _are_bounds(edges)
        if not (known and len(counts) == len(edges) and counts.min() >= 0
                and math.isfinite(part.start) and math.isfinite(part.stop)):
            return False
        if counts.any():
            self.increments.add(part.start, part.stop, edges, counts, part.sum, limit)
        return True

    @property
    def n(self) -> int:
        """Observations ever."""
        return self.increments.total

    def summary(self) -> Summary:
        """Return count and sum of all observations; their extremes are not known."""
        found = self.increments
        total = found.total_sum if found.total else 0.0
        return Summary(found.total, total, float("nan"), float("nan"))

    def buckets(self, axis: Axis, start: float, stop: float, count: int) -> Columns:
        """Return start..stop as columns; low and high are those of the means, as nothing else is.

        A look that spans several columns shares its observations out.
        """
        n, total = np.zeros(count), np.zeros(count)
        if axis != "step":
            shift = self.run.started if axis == "elapsed" else 0.0
            row, column = self.columns(start + shift, stop + shift, count)
            found = self.increments
            if count == 1:
                n[0], total[0] = found.counts[row].sum(), found.sum[row].sum()
            else:
                share = 1.0 / np.maximum(np.bincount(row, minlength=found.rows), 1)[row]
                np.add.at(n, column, found.counts.sum(axis=1)[row] * share)
                np.add.at(total, column, found.sum[row] * share)
        mean = np.divide(total, n, out=np.full(count, np.nan), where=n > 0)
        return Columns(mean, mean, mean, mean, n, np.zeros(count))

    def quantiles(self, qs: Sequence[float], since: float | None = None) -> Quantiles:
        """Return estimates over the looks since a time, or over all that are held."""
        found = self.increments
        rows = found.since(since)
        counts = found.counts[rows].sum(axis=0)
        n = int(counts.sum())
        part = bounds.of_row(found.bounds, counts, qs)
        mean = float(found.sum[rows].sum()) / n if n else float("nan")
        return Quantiles(part.value, n, False, mean, "histogram", part.low, part.high)

    def quantile_columns(
        self, qs: Sequence[float], start: float, stop: float, count: int
    ) -> F8:
        """Return estimates a column of the time axis, shape (len(qs), count), NaN = no data."""
        table = np.zeros((count, len(self.increments.bounds)), np.int64)
        row, column = self.columns(start, stop, count)
        np.add.at(table, column, self.increments.counts[row])
        return bounds.quantiles(self.increments.bounds, table, qs).value

    def columns(self, start: float, stop: float, count: int) -> tuple[I8, I8]:
        """Return pairs of row and column, all that belong together.

        A look belongs to the column of its middle; one longer than a column, to all it touches.
        """
        found = self.increments
        middle = (found.start + found.stop) / 2
        wide = found.stop - found.start > (stop - start) / count
        left, right = np.where(wide, found.start, middle), np.where(wide, found.stop, middle)
        # Looks follow one another, so both edges ascend.
        rows = np.arange(right.searchsorted(start), left.searchsorted(stop, side="right"))
        if count == 1:
            return rows, np.zeros(len(rows), np.int64)
        first = place(left[rows], start, stop, count)
        last = place(right[rows], start, stop, count)
        lengths = last - first + 1
        row = np.repeat(rows, lengths)
        offset = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return row, np.repeat(first, lengths) + offset
