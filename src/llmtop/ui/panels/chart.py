"""One chart of a run: raw faint, smoothed bright, percentiles, events and crosshair."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmtop.chart import (
    Area,
    Grid,
    Mark,
    Plot,
    Trace,
    column_grid,
    nice_range,
    plot,
    plot_area,
    x_ticks,
)
from llmtop.ui.curves import Curve, curves
from llmtop.ui.panels.base import Scene, Size
from llmtop.ui.panels.events import glyph
from llmtop.ui.panels.frame import framed, inner, is_boxed
from llmtop.ui.rows import Row, Run
from llmtop.ui.select import current
from llmtop.ui.specs import ChartSpec
from llmtop.ui.view import Axis, Extent, visible
from llmtop.ui.window import axis_of, extent_of
from llmtop.units import split_value

if TYPE_CHECKING:
    from llmtop.store import Run as StoreRun

MOST_VALUES = 3
"""Curves named in the title; the others are named at their ends."""
OUTLIER_SHARE = 0.02
"""The y range of raw samples leaves out this share at either end, so that the first steps' huge
loss does not flatten the rest; what lies beyond is drawn at the edge."""


def chart_axis(spec: ChartSpec, scene: Scene, run: StoreRun) -> Axis:
    """Return the x axis of this chart: what has no steps stands over time."""
    axis = axis_of(scene.view, run)
    if axis == "step" and not any(s.extent("step") for s in current(run) if s.name in spec.names):
        return "time"
    return axis


def chart_window(spec: ChartSpec, scene: Scene, run: StoreRun) -> tuple[Axis, Extent]:
    """Return the axis and the stretch of it that this chart shows."""
    axis = chart_axis(spec, scene, run)
    extent = extent_of(run, axis)
    same = axis == axis_of(scene.view, run)
    return axis, visible(scene.view, extent) if same else extent


def chart_grid(spec: ChartSpec, scene: Scene, size: Size) -> tuple[Axis, Grid, Area]:
    """Return axis, dot columns and drawing area: what maps the mouse to x, too."""
    assert scene.run is not None
    axis, (start, stop) = chart_window(spec, scene, scene.run)
    area = plot_area(*inner(size))
    return axis, column_grid(start, stop, area.dots), area


def x_at(spec: ChartSpec, scene: Scene, size: Size, cell: int) -> float | None:
    """Return the x value under cell `cell` of the panel, None outside the drawing area."""
    if scene.run is None:
        return None
    _, grid, area = chart_grid(spec, scene, size)
    inside = cell - area.left - (2 if is_boxed(size) else 0)
    return grid.start + (inside + 0.5) * 2 * grid.width if 0 <= inside < area.width else None


def signature(spec: ChartSpec, scene: Scene) -> Hashable:
    """Return what the frame depends on: its series, the run's extent and its events."""
    run = scene.run
    if run is None:
        return None
    versions = tuple(s.version for s in run.series if s.name in spec.names)
    return run.id, spec, versions, len(run.events), chart_window(spec, scene, run)


def frame(spec: ChartSpec, scene: Scene, size: Size) -> list[Row]:
    """Return the chart in its frame."""
    run = scene.run
    if run is None:
        return framed(spec.title, (), (), size)
    axis, grid, area = chart_grid(spec, scene, size)
    found = curves(spec, run, axis, grid, scene.view.smoothing)
    wanted = scene.view.crosshair
    cursor = None if wanted is None or axis != axis_of(scene.view, run) else grid.column(wanted)
    right = title_values(spec, found, cursor, scene.view.smoothing, size.width)
    columns, lines = inner(size)
    if not any(np.isfinite(c.line).any() or (c.bad is not None and c.bad.any()) for c in found):
        return framed(spec.title, right, [(("no data in this window", "dim"),)], size)
    log = spec.key in scene.view.log
    low, high = y_range(found, spec, log)
    picture = plot(
        Plot(
            traces=[_trace(curve, spec, area) for curve in found],
            low=low, high=high, unit=spec.unit, log=log,
            x_ticks=x_ticks(axis, grid, run.started, area.width),
            marks=_marks(run, axis, grid), cursor=cursor,
        ),
        columns, lines, unicode=not scene.ascii,
    )
    return framed(spec.title, right, [picture.runs(y) for y in range(lines)], size)


def y_range(found: Sequence[Curve], spec: ChartSpec, log: bool) -> tuple[float, float]:
    """Return the y range: every line whole, raw samples without their outermost few."""
    lows, highs = [], []
    for curve in found:
        line = curve.line[np.isfinite(curve.line)]
        lows.append(line)
        highs.append(line)
        for edge, part, share in ((lows, curve.low, OUTLIER_SHARE),
                                  (highs, curve.high, 1 - OUTLIER_SHARE)):
            ok = None if part is None else part[np.isfinite(part)]
            if ok is not None and len(ok):
                edge.append(np.array([np.quantile(ok, share)]))
    low = min((float(a.min()) for a in lows if len(a)), default=0.0)
    high = max((float(a.max()) for a in highs if len(a)), default=1.0)
    if spec.filled and not log:
        low = min(low, 0.0)
    return nice_range(None, low, high, log)


def title_values(
    spec: ChartSpec, found: Sequence[Curve], cursor: int | None, smoothing: float, width: int
) -> list[Run]:
    """Return the numbers at the right of the title: the newest, or those under the crosshair."""
    out: list[Run] = []
    shown = [c for c in found if not c.faint or spec.kind == "distribution"][:MOST_VALUES]
    if spec.kind == "distribution":
        shown = shown[::-1]
    for curve in shown:
        value = _value_at(curve, cursor)
        number, unit = split_value(value, spec.unit + ("/s" if spec.kind == "counter" else ""))
        if out:
            out.append(("  ", "blank"))
        if len(shown) > 1:
            role = f"{'raw' if curve.faint else 'series'}-{curve.colour % 6 + 1}"
            out += [("● ", role)] if spec.kind != "distribution" else []
            out += [(f"{_short(curve.name)} ", "dim")]
        out.append((number, "bright"))
        if unit and (len(shown) == 1 or curve is shown[-1] or spec.unit == "seconds"):
            out.append((f" {unit}", "dim"))
    if smoothing and spec.kind == "gauge" and width >= 60 and shown:
        out.append((f"   ema {smoothing:g}".replace("0.", "."), "dim"))
    return out


def _short(name: str) -> str:
    """Return a series name without its last part where the first part tells it apart."""
    head, _, tail = name.partition("/")
    if head in ("train", "eval", "val", "test") and tail:
        return head
    return "eval" if name.startswith(("eval_", "val_")) else name.rpartition("/")[2]


def _value_at(curve: Curve, cursor: int | None) -> float | None:
    if cursor is None and curve.latest is not None:
        return curve.latest
    line = curve.line
    if cursor is not None and 0 <= cursor < len(line):
        value = float(line[cursor])
        return None if np.isnan(value) else value
    finite = np.flatnonzero(np.isfinite(line))
    return float(line[finite[-1]]) if len(finite) else None


def _trace(curve: Curve, spec: ChartSpec, area: Area) -> Trace:
    finite = np.flatnonzero(np.isfinite(curve.line))
    end = float(curve.line[finite[-1]]) if len(finite) else None
    number, unit = split_value(end, spec.unit)
    if spec.unit == "seconds":
        number += {"ms": "ms", "µs": "µs"}.get(unit, "s")
    percentile = spec.kind == "distribution"
    label = "" if curve.faint and not percentile else (
        f"{curve.name} {number.rstrip('ms')}" if percentile and len(number) < 6 else number)
    return Trace(
        colour=curve.colour,
        line=None if curve.points else curve.line,
        points=curve.line if curve.points else None,
        low=curve.low, high=curve.high, bad=curve.bad,
        filled=spec.filled and not curve.faint and curve.colour == 0,
        faint=curve.faint, label=label,
    )


def _marks(run: StoreRun, axis: Axis, grid: Grid) -> list[Mark]:
    """Return the run's events where they lie on this axis."""
    marks = []
    for event in run.events:
        if axis == "step":
            x = float(event.step)
        else:
            x = event.time - (run.started if axis == "elapsed" else 0.0)
        if x >= grid.start and (axis != "step" or event.step >= 0):
            sign, role = glyph(event)
            if sign != "·":
                marks.append(Mark(grid.column(x), sign, role))
    return marks


def waiting_signature(scene: Scene) -> Hashable:
    """Return what the waiting frame depends on."""
    return None if scene.run is None else (scene.run.id, scene.run.state)


def waiting(scene: Scene, size: Size) -> list[Row]:
    """Return what stands there while a run has logged nothing yet."""
    run = scene.run
    name = "" if run is None else run.name
    body: list[Row] = [
        ((f"{name} has logged no metric yet", "text"),),
        (('run.log({"loss": loss}, step=step)', "accent"), (" makes the first chart", "dim")),
    ]
    if run is not None and run.state in ("failed", "died") and run.reason:
        body.insert(0, ((run.reason, "critical"),))
    return framed("metrics", (), body, size)


