"""One named stream of values of one attempt of a run, and the questions a reader may ask of it.

Reads never change anything: they combine the buckets (what left the ring) with the raw points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from llmtop.metrics import Metric
from llmtop.quantities import convert
from llmtop.samples import Better, SeriesKind
from llmtop.store import bands, buckets, quantiles, rings
from llmtop.store.arena import F8
from llmtop.store.columns import Columns, Sheet, Spans, place
from llmtop.store.histogram import Slice
from llmtop.store.observed import observed
from llmtop.store.points import Points
from llmtop.store.quantiles import Quantiles
from llmtop.store.table import SeriesTable

if TYPE_CHECKING:
    from llmtop.store.runs import Run

Axis = Literal["step", "time", "elapsed"]
SHORTEST_RATE_SECONDS = 1.0
"""A rate over less would turn the first increment of a counter into a spike."""
FEW_POINTS = 64
"""Points that hold the last seconds of a counter that is read once a second."""
EVERYTHING = 1 << 62


class Point(NamedTuple):
    """One point."""

    step: int
    """-1 = none."""
    time: float
    """Unix seconds."""
    value: float


class Summary(NamedTuple):
    """A series in four numbers, of its finite values; NaN where there are none."""

    n: int
    sum: float
    min: float
    max: float


@dataclass(eq=False, slots=True)
class Series:
    """A view on the store's columns; made by the store, alive as long as it."""

    id: int
    run: Run
    name: str
    """As logged."""
    metric: Metric | None
    """What the vocabulary knows of it."""
    kind: SeriesKind
    unit: str
    """As logged, else the vocabulary's."""
    better: Better
    rank: int | None
    attempt: int
    derived: bool
    """Computed by a rule, not sampled."""
    _table: SeriesTable
    _summary: tuple[int, Summary] = (-1, Summary(0, 0.0, np.nan, np.nan))

    @property
    def n(self) -> int:
        """Points ever, non-finite ones and those that arrived folded included."""
        return int(self._table.n[self.id])

    @property
    def version(self) -> int:
        """Grows with each append."""
        return int(self._table.version[self.id])

    @property
    def nonfinite(self) -> int:
        """Points that are NaN or infinite."""
        return int(self._table.bad[self.id])

    @property
    def first(self) -> Point | None:
        """The first point that came (of a folded history that does not tell it: its first bucket's
        mean)."""
        table, at = self._table, self.id
        if not table.n[at]:
            return None
        return Point(
            int(table.first_step[at]), float(table.first_time[at]), float(table.first_value[at])
        )

    @property
    def last(self) -> Point | None:
        """The last point that came, its value as it is (it may be NaN)."""
        table, at = self._table, self.id
        if not table.n[at]:
            return None
        return Point(
            int(table.last_step[at]), float(table.last_time[at]), float(table.last_value[at])
        )

    @property
    def min(self) -> float:
        """Smallest finite value ever, NaN if there is none."""
        return self.summary().min

    @property
    def max(self) -> float:
        """Largest finite value ever, NaN if there is none."""
        return self.summary().max

    @property
    def sum(self) -> float:
        """Sum of all finite values: the total of a counter, whose values are increments."""
        return self.summary().sum

    @property
    def mean(self) -> float:
        """Mean of all finite values, NaN if there is none."""
        found = self.summary()
        return found.sum / found.n if found.n else float("nan")

    @property
    def factor(self) -> float:
        """What brings its values into the vocabulary's unit, `quantity`."""
        return convert(self.name, self.unit)[0]

    @property
    def quantity(self) -> str:
        """The unit its values are in once they are multiplied by `factor`."""
        return convert(self.name, self.unit)[1]

    def summary(self) -> Summary:
        """Return count, sum, minimum and maximum of the finite values ever."""
        if self._summary[0] == self.version:
            return self._summary[1]
        old = buckets.read(self._table, self.id)
        fresh = int(self._table.written[self.id] - self._table.folded[self.id])
        value = rings.latest(self._table, self.id, fresh).value
        value = value[np.isfinite(value)]
        n = int((old.count - old.bad).sum()) + len(value)
        low = min(old.low.min(initial=np.inf), value.min(initial=np.inf))
        high = max(old.high.max(initial=-np.inf), value.max(initial=-np.inf))
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(old.sum.sum() + value.sum())
        found = Summary(
            n, total, float(low) if n else float("nan"), float(high) if n else float("nan")
        )
        self._summary = (self.version, found)
        return found

    def extent(self, axis: Axis) -> tuple[float, float] | None:
        """Return where the first and the last point lie, None when none lies on this axis."""
        table, at = self._table, self.id
        if axis == "step":
            found = float(table.low_step[at]), float(table.high_step[at])
            return found if found[1] >= 0 else None
        origin = self.run.started if axis == "elapsed" else 0.0
        found = float(table.low_time[at]) - origin, float(table.high_time[at]) - origin
        return found if self.n else None

    def window(self, k: int) -> Points:
        """Return copies of the last `k` raw points held, oldest first."""
        return rings.latest(self._table, self.id, k)

    def points(self, axis: Axis, start: float, stop: float) -> Points:
        """Return copies of the raw points held with start <= x <= stop, in order of arrival."""
        raw = self.window(EVERYTHING)
        x = self._along(axis, raw)
        return raw.pick((x >= start) & (x <= stop))

    def buckets(self, axis: Axis, start: float, stop: float, count: int) -> Columns:
        """Return start..stop as `count` columns: raw points where held, buckets before them."""
        sheet = Sheet(start, stop, count)
        raw = self.window(EVERYTHING)
        with np.errstate(over="ignore", invalid="ignore"):
            old = self._before(axis, raw)
            if old is not None:
                sheet.add_spans(old)
            mixed = self._table.step_mixed if axis == "step" else self._table.time_mixed
            x, value = self._along(axis, raw), raw.value
            if axis == "step" and not (known := raw.step >= 0).all():
                x, value = x[known], value[known]
            sheet.add_points(
                x, value, ordered=not mixed[self.id], finite=not self._table.bad[self.id]
            )
            return sheet.columns()

    def quantiles(self, qs: Sequence[float], since: float | None = None) -> Quantiles:
        """Return quantiles since a time, or of the whole run: exact as far as raw points reach.

        Beyond that a distribution's histogram answers (within 0.79 %); for another kind the points
        held are the estimate.
        """
        found, complete = self.observed(since)
        if isinstance(found, Slice):
            return quantiles.of_counts(found, qs)
        return quantiles.of_values(found.value, qs, exact=complete)

    def observed(self, since: float | None) -> tuple[Points | Slice, bool]:
        """Return what is known of the points since a time, and whether it is every one of them."""
        return observed(self._table, self.id, self.window(EVERYTHING), since)

    def quantile_columns(
        self, qs: Sequence[float], start: float, stop: float, count: int
    ) -> F8:
        """Return quantiles a column of the time axis, shape (len(qs), count), NaN = no data.

        Columns that the raw points cover are exact; older ones come from the histogram's slices
        of time and are there for distributions only.
        """
        raw, ordered = self.window(EVERYTHING), not self._table.time_mixed[self.id]
        exact = bands.of_points(raw, qs, start, stop, count, ordered=ordered)
        histogram = self._table.histograms.get(self.id)
        if histogram is None or len(raw.time) == self.n or not histogram.slices:
            return exact
        estimate = bands.of_histogram(histogram, self._fresh(raw), qs, start, stop, count)
        oldest = float(raw.time.min())
        covered = place(np.array([oldest]), start, stop, count)[0] if oldest > start else -1
        return np.where(np.arange(count) > covered, exact, estimate)

    def rate(self, seconds: float, now: float) -> float:
        """Return a counter's increments a second over the last `seconds`, NaN before the first.

        A counter younger than the window is divided by its age.
        """
        if not self.n:
            return float("nan")
        age = now - float(self._table.low_time[self.id])
        span = max(min(seconds, age), SHORTEST_RATE_SECONDS)
        x, _, value = self.window(FEW_POINTS)
        if not self._table.time_mixed[self.id] and x.min(initial=np.inf) < now - seconds:
            value = value[(x >= now - seconds) & (x <= now) & np.isfinite(value)]
            return float(value.sum()) / span
        return float(self.buckets("time", now - seconds, now, 1).sum[0]) / span

    def _along(self, axis: Axis, points: Points) -> F8:
        if axis == "step":
            return points.step.astype(np.float64)
        return points.time - self.run.started if axis == "elapsed" else points.time

    def _fresh(self, raw: Points) -> Points:
        """Return those of the raw points that are not in buckets and histogram yet."""
        count = int(self._table.written[self.id] - self._table.folded[self.id])
        return raw.pick(slice(len(raw.time) - count, None))

    def _before(self, axis: Axis, raw: Points) -> Spans | None:
        """Return what is older than the raw points; the bucket astride is cut where they begin."""
        gone = self.n - len(raw.time)
        if not gone:
            return None
        old = buckets.read(self._table, self.id)
        upto = np.cumsum(old.count)
        used = int(np.searchsorted(upto, gone)) + 1
        origin = self.run.started if axis == "elapsed" else 0.0
        if axis == "step":
            left = old.low_step[:used].astype(np.float64)
            right = old.high_step[:used].astype(np.float64)
        else:
            left, right = old.low_time[:used] - origin, old.high_time[:used] - origin
        total, last = old.sum[:used], old.last[:used]
        count = (old.count - old.bad)[:used].astype(np.float64)
        bad = old.bad[:used].astype(np.float64)
        twice = int(upto[used - 1]) - gone
        if twice:
            # The newest points of the bucket astride are raw points too: count them once.
            again = raw.value[:twice]
            finite = np.isfinite(again)
            total[-1] -= again[finite].sum()
            count[-1] = max(count[-1] - finite.sum(), 0.0)
            bad[-1] = max(bad[-1] - (twice - finite.sum()), 0.0)
            begin = self._along(axis, raw)[:twice]
            begin = begin[begin >= 0] if axis == "step" else begin
            right[-1] = max(left[-1], min(right[-1], begin.min(initial=np.inf)))
            last[-1] = total[-1] / count[-1] if count[-1] else np.nan
        spans = Spans(left, right, old.low[:used], old.high[:used], total, last, count, bad)
        if axis == "step":
            stepped = right >= 0
            return spans if stepped.all() else spans.pick(stepped)
        usual = float((right - left).mean())
        start, stop = old.pause_start[:used] - origin, old.pause_stop[:used] - origin
        return spans.parted(start, stop, usual)[0]
