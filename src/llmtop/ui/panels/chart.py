"""One chart of a run: raw faint, smoothed bright, percentiles, events and crosshair."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from llmtop.chart import (
    Area,
    Grid,
    Mark,
    Plot,
    Threshold,
    Trace,
    column_grid,
    plot,
    plot_area,
    x_ticks,
)
from llmtop.slo import limit_text
from llmtop.ui.curve import Curve
from llmtop.ui.curves import curves
from llmtop.ui.newest import newest
from llmtop.ui.panels.alerts import GLYPHS as SEVERITIES
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.chart_title import MOST_VALUES, short_name, title_values
from llmtop.ui.panels.events import glyph
from llmtop.ui.panels.frame import framed, inner, is_boxed, title_row
from llmtop.ui.reach import Reach, reach
from llmtop.ui.rows import Row
from llmtop.ui.shown import Shown
from llmtop.ui.specs import ChartSpec
from llmtop.ui.view import Axis, View
from llmtop.ui.window import axis_of, window_of
from llmtop.units import format_duration, format_seconds, split_value

if TYPE_CHECKING:
    from llmtop.store import Run as StoreRun

DOTS_A_MARK = 20
"""Dot columns a mark needs: closer ones would stand like a fence before the data."""
HIGHEST = "p99"
"""The percentile that turns critical above what was promised."""
NAMED_END = 7
"""Cells of the longest name that is put before the value at a line's end."""


@lru_cache(maxsize=4096)
def content(spec: ChartSpec) -> Content:
    """Return the panel of a chart."""
    # Percentiles and rates are of a stretch of time, and are worked out with the picture only.
    quick = partial(head, spec) if spec.kind == "gauge" else None
    return Content(
        spec.key, partial(frame, spec), partial(signature, spec), head=quick,
        pulse=partial(pulse, spec), x_at=partial(x_at, spec),
    )


def chart_axis(spec: ChartSpec, view: View, shown: Shown) -> Axis:
    """Return the x axis of this chart: what has no steps stands over time."""
    axis = axis_of(view, shown)
    members = shown.group(spec.names)
    if axis == "step" and (members is None or members.extent("step") is None):
        return "time"
    return axis


def chart_grid(
    spec: ChartSpec, view: View, shown: Shown, size: Size
) -> tuple[Axis, Grid, Area]:
    """Return axis, dot columns and drawing area: what maps the mouse to x, too."""
    axis = chart_axis(spec, view, shown)
    same = axis == axis_of(view, shown)
    start, stop = window_of(view, shown) if same else shown.extent(axis)
    area = plot_area(*inner(size), end_labels=_end_cells(spec))
    return axis, column_grid(start, stop, area.dots), area


def _end_cells(spec: ChartSpec) -> int:
    return NAMED_END + 6 if spec.kind != "distribution" and len(spec.names) > MOST_VALUES else 9


def x_at(spec: ChartSpec, scene: Scene, size: Size, cell: int) -> float | None:
    """Return the x value under cell `cell` of the panel, None outside the drawing area."""
    if scene.shown is None:
        return None
    axis, grid, area = chart_grid(spec, scene.view, scene.shown, size)
    if axis != axis_of(scene.view, scene.shown):
        return None
    inside = cell - area.left - (2 if is_boxed(size) else 0)
    return grid.start + (inside + 0.5) * 2 * grid.width if 0 <= inside < area.width else None


def signature(spec: ChartSpec, scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on at once: the dot columns, the series and the events."""
    shown = scene.shown
    if shown is None:
        return None
    axis, grid, _ = chart_grid(spec, scene.view, shown, size)
    members = shown.group(spec.names)
    ids, bad = (b"", 0) if members is None else (members.ids.tobytes(), members.nonfinite)
    told = len(shown.run.events), len(scene.alerts), len(scene.past)
    return spec, axis, grid, ids, bad, told


def pulse(spec: ChartSpec, scene: Scene, size: Size) -> Hashable:
    """Return what grows with every sample."""
    shown = scene.shown
    members = None if shown is None else shown.group(spec.names)
    return None if members is None else members.version


def head(spec: ChartSpec, scene: Scene, size: Size) -> Row:
    """Return the title with the newest values."""
    found = [] if scene.shown is None else newest(spec, scene.shown, scene.view.rank)
    return title_row(spec.title, title_values(spec, found, None, scene.view.smoothing, size.width),
                     size)


def frame(spec: ChartSpec, scene: Scene, size: Size) -> list[Row]:
    """Return the chart in its frame."""
    shown = scene.shown
    if shown is None:
        return framed(spec.title, (), (), size)
    run = shown.run
    axis, grid, area = chart_grid(spec, scene.view, shown, size)
    found = curves(spec, shown, axis, grid, scene.view.smoothing, scene.view.rank)
    wanted = scene.view.crosshair
    cursor = None if wanted is None or axis != axis_of(scene.view, shown) else grid.column(wanted)
    quick = cursor is None and spec.kind == "gauge"
    read = newest(spec, shown, scene.view.rank) if quick else found
    right = title_values(spec, read, cursor, scene.view.smoothing, size.width)
    columns, lines = inner(size)
    if not any(np.isfinite(c.line).any() or (c.bad is not None and c.bad.any()) for c in found):
        return framed(spec.title, right, [(("no data in this window", "dim"),)], size)
    log = spec.key in scene.view.log
    whole = scene.view.window is None and scene.view.span is None and axis != "time"
    limit = _limit(spec, scene)
    y = reach(found, filled=spec.filled, log=log, whole=whole and spec.better == "down",
              unit=spec.unit, limit=limit)
    slo = f"slo {limit_text(limit)}" if limit else ""
    picture = plot(
        Plot(
            traces=[_trace(curve, spec, y, limit) for curve in found],
            thresholds=[Threshold(limit, slo)] if limit else [],
            low=y.low, high=y.high, unit=spec.unit, log=log,
            x_ticks=x_ticks(axis, grid, run.started, area.width),
            marks=_marks(scene, run, axis, grid), cursor=cursor,
            readout=_readout(axis, wanted) if cursor is not None else "",
            end_labels=_end_cells(spec),
        ),
        columns, lines, unicode=not scene.ascii,
    )
    return framed(spec.title, right, [picture.runs(y) for y in range(lines)], size)


def _limit(spec: ChartSpec, scene: Scene) -> float | None:
    """Return what was promised of the first metric of a chart."""
    promised = dict(scene.view.slos)
    members = scene.shown.group(spec.names) if promised and scene.shown else None
    metric = members.series[0].metric if members and spec.kind == "distribution" else None
    return promised.get(metric.name) if metric else None


def _trace(curve: Curve, spec: ChartSpec, y: Reach, limit: float | None) -> Trace:
    finite = np.flatnonzero(np.isfinite(curve.line))
    end = float(curve.line[finite[-1]]) if len(finite) else None
    number = split_value(end, spec.unit)[0]
    if spec.unit == "seconds":
        number = format_seconds(end).replace(" ", "")
    named = spec.kind == "distribution" or len(spec.names) > MOST_VALUES
    shown = named or not curve.faint
    line = y.clipped(curve.line)
    return Trace(
        colour=curve.colour,
        line=None if curve.points else line,
        points=line if curve.points else None,
        low=None if curve.low is None else y.clipped(curve.low), high=curve.high, bad=curve.bad,
        filled=spec.filled and not curve.faint and curve.colour == 0,
        faint=curve.faint,
        label=short_name(curve.name)[:NAMED_END] if named and shown else "",
        value=number if shown else "",
        critical_above=limit if curve.name == HIGHEST else None,
    )


def _readout(axis: Axis, x: float | None) -> str:
    """Return where the crosshair stands."""
    if x is None:
        return ""
    if axis == "step":
        return f"step {x:,.0f}"
    if axis == "elapsed":
        return format_duration(x)
    from datetime import datetime

    return datetime.fromtimestamp(x).strftime("%H:%M:%S")


def _marks(scene: Scene, run: StoreRun, axis: Axis, grid: Grid) -> list[Mark]:
    """Return the run's events and alerts where they lie on this axis."""
    marks: dict[str, list[Mark]] = {}
    for event in run.events:
        if axis == "step":
            x = float(event.step)
        else:
            x = event.time - (run.started if axis == "elapsed" else 0.0)
        if grid.start <= x <= grid.stop and (axis != "step" or event.step >= 0):
            sign, role = glyph(event)
            if sign != "·":
                marks.setdefault(role, []).append(Mark(grid.column(x), sign, role))
    for alert in (*scene.alerts, *scene.past):
        x = float(alert.step) if axis == "step" else (
            alert.since - (run.started if axis == "elapsed" else 0.0))
        # On the axis of steps, what befell an earlier attempt would mark this one's curve.
        old = axis == "step" and bool(run.attempts) and alert.since < run.attempts[-1].started
        if alert.run != run.id or old or alert.severity == "info":
            continue
        if grid.start <= x <= grid.stop:
            sign, role = SEVERITIES[alert.severity]
            marks.setdefault(role, []).append(Mark(grid.column(x), sign, role))
    # Checkpoints every few columns say nothing but that there are many: the newest is enough.
    most = max(1, grid.count // DOTS_A_MARK)
    return [
        mark for role, some in marks.items()
        for mark in (some if role == "critical" or len(some) <= most else some[-1:])
    ]
