"""From the series behind a chart to its curves over a grid of dot columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llmtop.chart import Grid, bridged, ema
from llmtop.store import cross_rank
from llmtop.ui.select import current, earlier
from llmtop.ui.specs import ChartSpec, is_eval

if TYPE_CHECKING:
    from llmtop.store import Run, Series
    from llmtop.ui.view import Axis

F8 = NDArray[np.float64]

QUANTILES = (0.5, 0.9, 0.99)
MOST_CURVES = 6
"""Curves one chart can tell apart by colour."""
GAP_FACTOR = 4.0
"""A hole is a gap when it is this many times the usual spacing of the points; else it is drawn
through, because points that lie further apart than dot columns are no gap."""
MOST_EARLIER = 3
"""Earlier attempts drawn behind the present one."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart and what belongs to it; arrays over the grid's columns."""

    name: str
    colour: int
    line: F8
    """Smoothed values, or a percentile; what the title and the crosshair read."""
    low: F8 | None = None
    high: F8 | None = None
    bad: NDArray[np.bool_] | None = None
    points: bool = False
    faint: bool = False
    latest: float | None = None
    """The newest value as logged, NaN included."""


def curves(spec: ChartSpec, run: Run, axis: Axis, grid: Grid, smoothing: float) -> list[Curve]:
    """Return the curves of a chart, most important first, earlier attempts last."""
    members = {name: [s for s in current(run) if s.name == name] for name in spec.names}
    members = {name: found for name, found in members.items() if found}
    if spec.kind == "distribution" and axis != "step":
        return [c for found in list(members.values())[:2] for c in _percentiles(found[0], grid)]
    out = [_curve(i, name, found, axis, grid, smoothing)
           for i, (name, found) in enumerate(list(members.items())[:MOST_CURVES])]
    for i, name in enumerate(list(members)[:MOST_CURVES]):
        for old in earlier(run, name)[-MOST_EARLIER:]:
            out.append(_old(i, old, axis, grid, smoothing))
    return out


def _percentiles(series: Series, grid: Grid) -> list[Curve]:
    table = series.quantile_columns(QUANTILES, grid.start, grid.stop, grid.count)
    whole = series.quantiles(QUANTILES)
    shades = ((0, True), (0, False), (1, False))
    found = [
        Curve(f"p{q * 100:g}", colour, _through(row), faint=faint, latest=float(value))
        for (colour, faint), q, row, value in zip(shades, QUANTILES, table, whole.values,
                                                  strict=True)
    ]
    return found[::-1]


def _curve(
    colour: int, name: str, found: list[Series], axis: Axis, grid: Grid, smoothing: float
) -> Curve:
    first = found[0]
    last = first.last
    latest = None if last is None else last.value
    if first.kind == "counter":
        sums = np.sum([s.buckets(axis, grid.start, grid.stop, grid.count).sum for s in found],
                      axis=0)
        return Curve(name, colour, _rates(first, sums, axis, grid, smoothing))
    if len(found) > 1:
        parts = cross_rank(found, axis, grid.start, grid.stop, grid.count)
        line = ema(parts.mean, np.where(np.isfinite(parts.mean), 1.0, 0.0), smoothing)
        return Curve(name, colour, _through(line), parts.low, parts.high, latest=latest)
    columns = first.buckets(axis, grid.start, grid.stop, grid.count)
    bad = columns.bad > 0
    if is_eval(first):
        return Curve(name, colour, columns.mean, bad=bad, points=True, latest=latest)
    smooth = ema(columns.mean, columns.n, smoothing)
    return Curve(name, colour, _through(smooth), _through(columns.low), _through(columns.high),
                 bad, latest=latest)


def _rates(series: Series, sums: F8, axis: Axis, grid: Grid, smoothing: float) -> F8:
    """Return increments a second (on the step axis: a step) while the counter was alive."""
    span = series.extent(axis) or (grid.start, grid.stop)
    first, last = grid.column(span[0]), grid.column(span[1])
    rate = sums / grid.width
    place = np.arange(grid.count)
    alive = np.where((place >= first) & (place < max(last, first + 1)), rate, np.nan)
    return ema(alive, np.ones(grid.count), smoothing if smoothing < 0.95 else 0.9)


def _old(colour: int, series: Series, axis: Axis, grid: Grid, smoothing: float) -> Curve:
    columns = series.buckets(axis, grid.start, grid.stop, grid.count)
    line = _through(ema(columns.mean, columns.n, smoothing))
    return Curve(series.name, colour, line, bad=columns.bad > 0, faint=True)


def _through(values: F8) -> F8:
    """Return values with the holes between widely spaced points bridged, real gaps left open."""
    at = np.flatnonzero(np.isfinite(values))
    if len(at) < 3:
        return values
    usual = float(np.median(np.diff(at)))
    return bridged(values, max(2, int(usual * GAP_FACTOR)))
