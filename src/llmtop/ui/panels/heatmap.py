"""Where the observations of a latency lie over time: rows are latencies, shades are numbers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from llmtop.chart import Area, Grid, column_grid, nice_range, plot_area, x_ticks
from llmtop.slo import limit_text
from llmtop.store import density
from llmtop.ui.panels.absent import missing
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner, is_boxed
from llmtop.ui.rows import Row, Run, clip
from llmtop.ui.window import axis_of, window_of

if TYPE_CHECKING:
    from llmtop.store import Series

KEY = "heat"
FOLLOWED = {
    "ttft": "ttft_seconds", "itl": "itl_seconds", "tpot": "tpot_seconds", "e2e": "e2e_seconds",
    "queue_time": "queue_seconds",
}  # fmt: skip
"""Panel in focus -> what the map shows; without one of these, the first there is."""
SHADES: tuple[tuple[str, str], ...] = (
    (" ", "blank"), ("░", "fill-1-a"), ("▒", "fill-1-a"), ("░", "raw-1"), ("▒", "raw-1"),
    ("▓", "raw-1"), ("▒", "series-1"), ("▓", "series-1"), ("█", "series-1"),
)
"""From nothing to most: glyphs as well as colours, so that it can be read without colour."""
PLAIN = " .:-=+*#@"
FINE = 8
"""Bins an octave in which the range is looked for."""
FINE_EDGES = 2.0 ** (np.arange(-20 * FINE, 14 * FINE + 1) / FINE)
"""From a microsecond to hours."""
USUAL = 0.98
"""Part of the filled cells that are shaded by number; fuller ones are as dark as it gets."""
LEAST_SHARE = 1e-3
"""Rows with less of all observations do not widen the map: the lowest of a server's buckets begins
at zero, and a sliver of it lies in every octave down to there."""
EVERY = 3
"""Rows from one label of the y axis to the next."""


def metric_of(scene: Scene) -> str:
    """Return the metric that the map shows."""
    named = {} if scene.shown is None else scene.shown.named
    wanted = FOLLOWED.get(scene.view.focus, "")
    return next((one for one in (wanted, *FOLLOWED.values()) if one in named), "ttft_seconds")


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    series = _series(scene)
    if series is None or scene.run is None:
        return _why(scene)
    grid, _ = _grid(scene, size)
    last = series.last
    closed = -1 if last is None else grid.column(last.time)
    return series.id, grid, closed, scene.view.slos, scene.ascii


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the map in its frame."""
    series, shown = _series(scene), scene.shown
    if series is None or shown is None:
        return framed("latencies over time", (), [((_why(scene), "dim"),)], size)
    name = series.metric.title if series.metric else series.name
    grid, area = _grid(scene, size)
    columns, lines = inner(size)
    start = grid.start + (shown.run.started if _axis(scene) == "elapsed" else 0.0)
    stop = start + area.width * 2 * grid.width
    found = density(series, FINE_EDGES, start, stop, area.width)
    rows = found.sum(axis=1)
    some = np.flatnonzero(rows > rows.sum() * LEAST_SHARE)
    if not len(some):
        nothing: list[Row] = [(("no data in this window", "dim"),)]
        return framed(f"{name} over time", (), nothing, size)
    low, high = nice_range(
        None, float(FINE_EDGES[some[0]]), float(FINE_EDGES[some[-1] + 1]), log=True
    )
    edges = np.geomspace(low, high, area.height + 1)
    table = density(series, edges, start, stop, area.width)[::-1]
    body = _body(scene, table, edges[::-1], area, series.name)
    if lines > area.height:
        body.append(_x_labels(x_ticks(_axis(scene), grid, shown.run.started, area.width), area,
                              columns))
    right: list[Run] = [(f"{table.sum():,.0f}", "bright"), (" observed", "dim")]
    return framed(f"{name} over time", right, body, size)


def _why(scene: Scene) -> str:
    """Return why there is no latency to show."""
    reasons = {} if scene.run is None else missing(scene.run)
    return reasons.get("e2e_seconds", "no latency observed yet")


def x_at(scene: Scene, size: Size, cell: int) -> float | None:
    """Return the x value under cell `cell` of the panel, None outside the map."""
    if _series(scene) is None:
        return None
    grid, area = _grid(scene, size)
    inside = cell - area.left - (2 if is_boxed(size) else 0)
    return grid.start + (inside + 0.5) * 2 * grid.width if 0 <= inside < area.width else None


def _body(
    scene: Scene, table: np.ndarray, edges: np.ndarray, area: Area, metric: str
) -> list[Row]:  # fmt: skip
    """Return a row a latency bin, highest first; `edges` descend."""
    filled = table[table > 0]
    top = float(np.quantile(filled, USUAL)) if len(filled) else 1.0
    level = np.ceil(np.sqrt(np.minimum(table / top, 1.0)) * (len(SHADES) - 1)).astype(int)
    labels = [_label(float(edge)) for edge in edges]
    limit = dict(scene.view.slos).get(metric)
    cursor = scene.view.crosshair
    at = None if cursor is None else _grid_cell(scene, cursor, area)
    rows: list[Row] = []
    for y in range(area.height):
        here = limit is not None and edges[y + 1] < limit <= edges[y]
        row: list[Run] = []
        if area.left:
            shown = labels[y + 1] if (area.height - 1 - y) % EVERY == 0 else ""
            row.append((f"{shown[: area.left - 1]:>{area.left - 1}} ", "axis"))
        for x, shade in enumerate(level[y].tolist()):
            glyph, role = SHADES[shade]
            if scene.ascii:
                glyph = PLAIN[shade]
            if not shade and here:
                glyph, role = "-" if scene.ascii else "╌", "critical"
            if x == at and not shade:
                glyph, role = "|" if scene.ascii else "│", "cursor"
            if row and row[-1][1] == role:
                row[-1] = (row[-1][0] + glyph, role)
            else:
                row.append((glyph, role))
        if here and limit is not None and area.right:
            row.append((f" slo {limit_text(limit)}", "critical"))
        rows.append(tuple(row))
    return rows


def _label(edge: float) -> str:
    """Return a latency in two digits: "27ms", "0.5µs"."""
    scale, unit = (1.0, "s") if edge >= 1 else (1e3, "ms") if edge >= 1e-3 else (1e6, "µs")
    return f"{float(f'{edge * scale:.2g}'):g}{unit}"


def _x_labels(ticks: list[tuple[int, str]], area: Area, columns: int) -> Row:
    line = [" "] * columns
    for dot, label in ticks:
        at = area.left + dot // 2
        begin = max(0, min(at - len(label) // 2, columns - len(label)))
        if all(char == " " for char in line[max(0, begin - 1) : begin + len(label) + 1]):
            line[begin : begin + len(label)] = label
    return clip([("".join(line), "axis")], columns)


def _series(scene: Scene) -> Series | None:
    if scene.shown is None:
        return None
    found = scene.shown.named.get(metric_of(scene), ())
    return next((one for one in found if one.kind == "distribution"), None)


def _axis(scene: Scene) -> str:
    return "time" if scene.shown is None else axis_of(scene.view, scene.shown)


def _grid(scene: Scene, size: Size) -> tuple[Grid, Area]:
    """Return dot columns and drawing area, the same as those of the charts beside it."""
    assert scene.shown is not None
    start, stop = window_of(scene.view, scene.shown)
    area = plot_area(*inner(size), end_labels=9)
    return column_grid(start, stop, area.dots), area


def _grid_cell(scene: Scene, x: float, area: Area) -> int:
    assert scene.shown is not None
    start, stop = window_of(scene.view, scene.shown)
    return column_grid(start, stop, area.dots).column(x) // 2


CONTENT = Content(KEY, frame, signature, x_at=x_at)
