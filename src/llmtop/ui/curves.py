"""From the series behind a chart to its curves over a grid of dot columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from llmtop.chart import Grid, bridged, ema
from llmtop.store import Group, cross_rank
from llmtop.ui.curve import F8, MOST_CURVES, Curve
from llmtop.ui.newest import of_rank, told
from llmtop.ui.specs import ChartSpec, is_eval
from llmtop.ui.view import AUTO

if TYPE_CHECKING:
    from llmtop.store import Series
    from llmtop.ui.shown import Shown
    from llmtop.ui.view import Axis

QUANTILES = (0.5, 0.9, 0.99)
SHADES = ((0, True), (0, False), (1, False))
"""Colour and faintness of each quantile."""
LEAST_OBSERVED = {0.9: 10, 0.99: 100}
"""Observations below which a percentile is no more than the largest of them."""
FEWEST_OBSERVED = 20
"""With fewer observations in sight they are drawn themselves, too."""
FEWEST_STRETCHES = 4
"""Stretches worth drawing a p99 for; with fewer, shorter ones show how p50 and p90 moved."""
RECENT_SECONDS = 300.0
"""The percentiles in the title are those of the last five minutes."""
DOTS_A_POINT = 8
"""Dot columns an evaluation needs to be drawn as a point: closer ones make a line."""
AUTO_SHARE = 0.015
"""Automatic smoothing averages over this share of the points in sight: three columns of 200."""
GAP_FACTOR = 4.0
"""A hole is a gap when it is this many times the usual spacing of the points; else it is drawn
through, because points that lie further apart than dot columns are no gap."""
SCRAPED = "scrape"
"""Kind of source whose counters are looked at, not told."""
MOST_EARLIER = 3
"""Earlier attempts drawn behind the present one."""


def curves(
    spec: ChartSpec, shown: Shown, axis: Axis, grid: Grid, smoothing: float,
    rank: int | None = None,
) -> list[Curve]:  # fmt: skip
    """Return the curves of a chart, most important first, earlier attempts last.

    Gauges of several ranks are drawn as their median, minimum and maximum, counters as their sum;
    with `rank`, that rank's own line stands beside the median, or alone.
    """
    members = {name: of_rank(shown.named[name], rank, spec.kind) for name in spec.names
               if name in shown.named}
    if spec.kind == "ratio":
        return [_ratio(spec, [*members.values()], axis, grid)]
    if spec.kind == "distribution" and axis != "step":
        return [c for found in list(members.values())[:2] for c in _percentiles(found[0], grid)]
    out = []
    for i, (name, found) in enumerate(list(members.items())[:MOST_CURVES]):
        if len(found) > 1 and found[0].kind != "counter":
            out += _ranked(i, name, found, axis, grid, smoothing, rank)
        else:
            out.append(_curve(i, name, found, axis, grid, smoothing))
    for i, name in enumerate(list(members)[:MOST_CURVES]):
        for old in shown.earlier.get(name, [])[-MOST_EARLIER:]:
            out.append(_old(i, old, axis, grid, smoothing))
    return out


def _percentiles(series: Series, grid: Grid) -> list[Curve]:
    """Return p99, p90 and p50 over time, highest first.

    Each stretch of columns is as long as it takes to hold enough observations; a percentile that
    still has too few is not drawn.
    """
    columns = series.buckets("time", grid.start, grid.stop, grid.count)
    stretch = _stretch(columns.n, grid.count)
    count = -(-grid.count // stretch)
    stop = grid.start + count * stretch * grid.width
    factor, last = series.factor, series.last
    table = series.quantile_columns(QUANTILES, grid.start, stop, count) * factor
    seen = np.add.reduceat(columns.n, np.arange(0, grid.count, stretch))
    now = series.quantiles(QUANTILES, None if last is None else last.time - RECENT_SECONDS)
    found = []
    about = "≈" if now.method == "histogram" else "" if now.exact else "~"
    beyond = np.isinf(now.high) if now.high is not None else np.zeros(len(QUANTILES), bool)
    for place, (q, row, value, over, (colour, faint)) in enumerate(zip(
        QUANTILES, table, now.values, beyond, SHADES, strict=True
    )):  # fmt: skip
        need = LEAST_OBSERVED.get(q, 1)
        line = np.repeat(np.where(seen >= need, row, np.nan), stretch)[: grid.count]
        line[~np.isfinite(columns.mean)] = np.nan
        found.append(Curve(f"p{q * 100:g}", colour, _through(line), faint=faint,
                           latest=float(value) * factor if now.n >= need else np.nan,
                           mark="≥" if over else about,
                           bucket=now.bucket(place) if series.unit == "seconds" else None,
                           mean=now.mean * factor))
    # History that came folded has no percentiles in time, but minimum and maximum.
    bare = np.isnan(found[0].line) | (seen.sum() < FEWEST_OBSERVED)
    found[0] = replace(found[0], low=np.where(bare, columns.low, np.nan) * factor,
                       high=np.where(bare, columns.high, np.nan) * factor)
    return found[::-1]


def _stretch(seen: F8, count: int) -> int:
    """Return how many columns share their percentiles: enough for a p99, if there are enough."""
    alive = max(int(np.count_nonzero(seen)), 1)
    each = max(float(seen.sum()) / alive, 1e-9)
    wanted = LEAST_OBSERVED[0.99] if seen.sum() >= FEWEST_STRETCHES * LEAST_OBSERVED[0.99] else 20
    stretch = 1
    while stretch * each < wanted and stretch * 2 <= count:
        stretch *= 2
    return stretch


def _curve(
    colour: int, name: str, found: list[Series], axis: Axis, grid: Grid, smoothing: float
) -> Curve:
    first = found[0]
    last = first.last
    factor = first.factor
    latest = None if last is None else last.value * factor
    if first.kind == "counter":
        sums = _sums(found, axis, grid.start, grid.stop, grid.count)
        return Curve(name, colour, _rates(first, sums * factor, axis, grid, smoothing),
                     mark="sum " if len(found) > 1 else "")
    columns = first.buckets(axis, grid.start, grid.stop, grid.count)
    bad = columns.bad > 0
    if is_eval(first):
        points = np.count_nonzero(columns.n) * DOTS_A_POINT <= grid.count
        line = columns.mean if points else _through(columns.mean)
        return Curve(name, colour, line * factor, bad=bad, points=points, latest=latest)
    smooth = _smooth(columns.mean, columns.n, smoothing)
    return Curve(name, colour, _through(smooth) * factor, _through(columns.low) * factor,
                 _through(columns.high) * factor, bad, latest=latest)


def _ranked(
    colour: int, name: str, found: list[Series], axis: Axis, grid: Grid, smoothing: float,
    rank: int | None,
) -> list[Curve]:  # fmt: skip
    """Return the median over ranks with their extremes, behind the line of the chosen rank."""
    parts = cross_rank(found, axis, grid.start, grid.stop, grid.count)
    seen = np.where(np.isfinite(parts.median), 1.0, 0.0)
    line = _through(_smooth(parts.median, seen, smoothing))
    factor = found[0].factor
    median = Curve(name, colour, line * factor, parts.low * factor, parts.high * factor,
                   parts.bad > 0, **told(Group(found)))
    own = [one for one in found if one.rank == rank] if rank is not None else []
    if not own:
        return [median]
    mine = _curve(colour, f"rank {rank}", own, axis, grid, smoothing)
    return [replace(mine, low=None, high=None, among=median), replace(median, faint=True)]


def _ratio(spec: ChartSpec, parts: list[list[Series]], axis: Axis, grid: Grid) -> Curve:
    """Return one counter over another, each column's worth of both, of all ranks together."""
    above, below = (_sums(part, axis, grid.start, grid.stop, grid.count) for part in parts)
    line = np.divide(above, below, out=np.full(grid.count, np.nan), where=below > 0)
    newest = Group(parts[1]).last.time.max()
    hits, of = (float(_sums(part, "time", newest - RECENT_SECONDS, max(newest, grid.stop), 1)[0])
                for part in parts)
    return Curve(spec.title, 0, _through(line), latest=hits / of if of > 0 else np.nan)


def _sums(found: list[Series], axis: Axis, start: float, stop: float, count: int) -> F8:
    """Return what counters have grown by together, column by column."""
    total: F8 = np.sum([one.buckets(axis, start, stop, count).sum for one in found], axis=0)
    return total


def _looked_at(series: Series, sums: F8, axis: Axis, grid: Grid) -> F8:
    """Return increments a second of a counter that is looked at from time to time.

    Each look tells of the time since the one before, however many columns that is.
    """
    rate = np.full(grid.count, np.nan)
    if axis == "step":
        return rate
    raw = series.points(axis, grid.start, grid.stop)
    passed = np.diff(raw.time)
    if len(passed) and np.median(passed) > grid.width and (passed > 0).all():
        shift = series.run.started if axis == "elapsed" else 0.0
        at = [grid.column(x) for x in (raw.time[1:] - shift).tolist()]
        rate[np.clip(at, 0, grid.count - 1)] = raw.value[1:] * series.factor / passed
        return _through(rate)
    n = series.buckets(axis, grid.start, grid.stop, grid.count).n
    some = np.flatnonzero(n > 0)
    rate[some] = sums[some] / grid.width
    # The first column and the newest are not looked at in full.
    rate[some[:1]] = rate[some[-1:]] = np.nan
    return _through(rate)


def _rates(series: Series, sums: F8, axis: Axis, grid: Grid, smoothing: float) -> F8:
    """Return increments a second (on the step axis: a step) while the counter was alive."""
    if series.run.source == SCRAPED:
        looked = _looked_at(series, sums, axis, grid)
        return _smooth(looked, np.ones(grid.count), min(smoothing, 0.9))
    span = series.extent(axis) or (grid.start, grid.stop)
    first, last = grid.column(span[0]), grid.column(span[1])
    rate = sums / grid.width
    place = np.arange(grid.count)
    alive = np.where((place >= first) & (place < max(last, first + 1)), rate, np.nan)
    return _smooth(alive, np.ones(grid.count), min(smoothing, 0.9))


def _old(colour: int, series: Series, axis: Axis, grid: Grid, smoothing: float) -> Curve:
    columns = series.buckets(axis, grid.start, grid.stop, grid.count)
    line = _through(_smooth(columns.mean, columns.n, smoothing)) * series.factor
    return Curve(series.name, colour, line, bad=columns.bad > 0, faint=True)


def _smooth(mean: F8, seen: F8, smoothing: float) -> F8:
    """Return the bias-corrected EMA of column means, each counting for the points it holds."""
    if smoothing == AUTO:
        span = float(seen.sum()) * AUTO_SHARE
        smoothing = 1 - 1 / span if span > 1 else 0.0
    return ema(mean, seen, smoothing)


def _through(values: F8) -> F8:
    """Return values with the holes between widely spaced points bridged, real gaps left open."""
    at = np.flatnonzero(np.isfinite(values))
    if len(at) < 3:
        return values
    usual = float(np.median(np.diff(at)))
    return bridged(values, max(2, int(usual * GAP_FACTOR)))
