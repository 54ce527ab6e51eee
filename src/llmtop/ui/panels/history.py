"""One metric of a machine over time: a line a device, or of many devices mean, least and most."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from llmtop.chart import (
    Area,
    Grid,
    Plot,
    Trace,
    bridged,
    column_grid,
    nice_range,
    plot,
    plot_area,
    x_ticks,
)
from llmtop.rules.machine import latest
from llmtop.store import Run as StoreRun
from llmtop.store import Series, time_means
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner, is_boxed
from llmtop.ui.rows import Row, Run
from llmtop.ui.view import visible
from llmtop.units import binary_scale, split_value

F8 = NDArray[np.float64]

MOST_LINES = 4
"""Devices drawn a line each: of more only the spread can be read."""
HOLE_SECONDS = 12.0
"""Silence up to this long is drawn through: two of the slow readings missed."""
END_CELLS = 9
PICTURE_SECONDS = 3.0
"""How often a picture is drawn anew while its columns are shorter: values in numbers stand in the
lines of the devices, each second."""
FIRST_PICTURE_SECONDS, YOUNG_SECONDS = 1.0, 10.0
"""How often while no more than so much is in sight."""
LABELLED_FROM = 60
"""Cells from which the values of three or four devices stand with their numbers in a title."""
PLAIN = ("fraction", "celsius")
"""Units that a narrow title of many values leaves out: the panel's own words say them."""
SIGNS = {"written": "w", "read": "r", "received": "↓", "sent": "↑"}
"""Word of a metric's name -> how its line is told from the other."""
LEAST_TOP = {"bytes": 1024.0}
"""Where the y axis of a unit ends at the least: a part of a byte says nothing."""
WHOLE = {"fraction": 100.0, "watts": 1.0, "celsius": 1.0}
"""Units told in whole numbers, after this factor."""


@dataclass(frozen=True)
class Spec:
    """One history."""

    key: str
    title: str
    unit: str
    metrics: tuple[str, ...]
    """The second is drawn faint beside the first."""
    top: float | None = None
    """The y axis' end where it is known."""
    host: bool = False
    """Of the host itself, not of its devices."""
    rate: bool = False
    """Counters, drawn as what they grow by a second."""


DEVICE_SPECS = (
    Spec("gpu-memory", "memory", "bytes", ("gpu_memory_used_bytes",)),
    Spec("gpu-utilization", "utilization", "fraction",
         ("gpu_utilization", "gpu_sm_activity"), 1.0),
    Spec("gpu-power", "power", "watts", ("gpu_power_watts",)),
    Spec("gpu-temperature", "temperature", "celsius", ("gpu_temperature_celsius",)),
)
HOST_SPECS = (
    Spec("host-cpu", "cpu", "fraction", ("host_cpu_utilization",), 1.0, host=True),
    Spec("host-memory", "host memory", "bytes", ("host_memory_used_bytes",), host=True),
    Spec("host-disk", "disk", "bytes", ("host_disk_written_bytes", "host_disk_read_bytes"),
         host=True, rate=True),
    Spec("host-network", "network", "bytes",
         ("host_network_received_bytes", "host_network_sent_bytes"), host=True, rate=True),
)


@dataclass(frozen=True)
class _Line:
    name: str
    colour: int
    faint: bool
    series: tuple[Series, ...]


def content(spec: Spec) -> Content:
    """Return the panel of a history."""
    return Content(
        spec.key, partial(frame, spec), partial(signature, spec), x_at=partial(x_at, spec)
    )


def window(scene: Scene) -> tuple[float, float]:
    """Return the stretch of time that is looked at."""
    return (0.0, 1.0) if scene.stage is None else visible(scene.view, scene.stage.extent("time"))


def _place(scene: Scene, size: Size) -> tuple[Grid, Area]:
    area = plot_area(*inner(size), end_labels=END_CELLS)
    return column_grid(*window(scene), area.dots), area


def x_at(spec: Spec, scene: Scene, size: Size, cell: int) -> float | None:
    """Return the time under cell `cell` of the panel, None outside the drawing area."""
    if scene.host is None:
        return None
    grid, area = _place(scene, size)
    inside = cell - area.left - (2 if is_boxed(size) else 0)
    return grid.start + (inside + 0.5) * 2 * grid.width if 0 <= inside < area.width else None


def signature(spec: Spec, scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on: how many pictures there have been."""
    run = scene.host
    if run is None:
        return None
    grid, _ = _place(scene, size)
    young = grid.stop - grid.start < YOUNG_SECONDS
    each = max(grid.width, FIRST_PICTURE_SECONDS if young else PICTURE_SECONDS)
    return spec, run.id, len(run.series), each, int(run.last_seen // each)


def _lines(spec: Spec, run: StoreRun, scene: Scene) -> list[_Line]:
    out = []
    for faint, metric in enumerate(spec.metrics):
        if spec.host:
            found = [("", (one,)) for one in run.find(metric) if one.name == metric and one.n]
            out += [_Line(_short(metric), faint, False, one) for _, one in found[-1:]]
            continue
        of = [(d, d.series[metric]) for d in scene.devices if metric in d.series]
        if not of:
            continue
        if len(of) > MOST_LINES:
            out.append(_Line("sm" if faint else "", 2 * faint, bool(faint),
                             tuple(s for _, s in of)))
        else:
            out += [_Line(("sm " if faint else "gpu ") + d.label, at, bool(faint), (s,))
                    for at, (d, s) in enumerate(of)]
    return out


def _short(metric: str) -> str:
    return next((sign for word, sign in SIGNS.items() if word in metric), "")


def _values(line: _Line, spec: Spec, grid: Grid) -> tuple[F8, F8 | None, F8 | None]:
    """Return a line, and of several devices their least and most."""
    hole = max(2, int(HOLE_SECONDS / grid.width))
    if spec.rate:
        columns = line.series[0].buckets("time", grid.start, grid.stop, grid.count)
        rate = np.where(columns.n > 0, columns.sum / grid.width, np.nan)
        # In columns shorter than a sweep every other one is empty; the rate is the sweep's.
        spread = max(1, round(1.0 / grid.width))
        return bridged(rate / spread if spread > 1 else rate, hole), None, None
    means = time_means(line.series, grid.start, grid.stop, grid.count)
    if len(means) == 1:
        return bridged(means[0], hole), None, None
    seen = np.isfinite(means)
    if (seen == seen[0]).all():
        # Devices are read together, so the holes of all are the same: they are bridged once.
        mean, low, high = (bridged(row, hole) for row in (
            means.mean(axis=0), means.min(axis=0), means.max(axis=0)))
        return mean, low, high
    means = np.array([bridged(row, hole) for row in means])
    count = np.isfinite(means).sum(axis=0)
    mean = np.divide(np.nansum(means, axis=0), count, out=np.full(grid.count, np.nan),
                     where=count > 0)
    return mean, np.fmin.reduce(means), np.fmax.reduce(means)


def frame(spec: Spec, scene: Scene, size: Size) -> list[Row]:
    """Return the chart in its frame."""
    run = scene.host
    lines = [] if run is None else _lines(spec, run, scene)
    if run is None or not lines:
        return framed(spec.title, (), [(("not told by this hardware", "dim"),)], size)
    grid, area = _place(scene, size)
    drawn = [(line, *_values(line, spec, grid)) for line in lines]
    finite = [part[np.isfinite(part)] for _, *parts in drawn for part in parts
              if part is not None]
    highest = max((float(part.max()) for part in finite if len(part)), default=1.0)
    low, high = nice_range(None, 0.0, spec.top or max(highest, LEAST_TOP.get(spec.unit, 1.0)))
    wanted = scene.view.crosshair
    cursor = None if wanted is None else grid.column(wanted)
    if cursor is not None and not 0 <= cursor < grid.count:
        cursor = None
    columns, rows = inner(size)
    picture = plot(
        Plot(
            traces=[
                Trace(line.colour, mean, least, most, faint=line.faint, label=line.name[:7],
                      filled=len(lines) == 1 and most is None)
                for line, mean, least, most in drawn
            ],
            low=low, high=high, unit=spec.unit, cursor=cursor, end_labels=END_CELLS,
            x_ticks=x_ticks("time", grid, run.started, area.width),
        ),
        columns, rows, unicode=not scene.ascii,
    )  # fmt: skip
    body = [picture.runs(y) for y in range(rows)]
    return framed(spec.title, _head(drawn, spec, scene.now, cursor, size.width), body, size)


def _head(
    drawn: Sequence[tuple[_Line, F8, F8 | None, F8 | None]], spec: Spec, now: float,
    cursor: int | None, cells: int,
) -> list[Run]:  # fmt: skip
    """Return the newest values, or those under the crosshair."""
    unit = spec.unit + ("/s" if spec.rate and spec.unit != "bytes" else "")
    out: list[Run] = []
    shown = [line for line, *_ in drawn if not line.faint or len(drawn) <= 2]
    tight = len(shown) > 2 and cells < LABELLED_FROM
    told = [(line, _at(line, mean, spec, now, cursor), most) for line, mean, _, most in drawn
            if line in shown]
    largest = max((value for _, value, _ in told if value is not None), default=0.0)
    for line, value, most in told:
        number, word = _told(value, unit)
        if len(told) > 1 and unit == "bytes" and not spec.rate and value is not None:
            # One unit stands behind all of them.
            number = f"{value / binary_scale(largest):.{0 if tight else 1}f}"
            word = split_value(largest, unit)[1]
        if spec.rate and word:
            # "338 K/s", as on the axis: two of them stand in one title.
            word = f"{word.removesuffix('iB')}/s"
        alone = "mean" if most is not None and len(drawn) == 1 else ""
        label = line.name.removeprefix("gpu ") or alone
        if out:
            out.append((" " if tight else "  ", "blank"))
        if len(drawn) > 1:
            out.append(("● ", f"{'raw' if line.faint else 'series'}-{line.colour % 6 + 1}"))
        if label and not tight:
            out.append((f"{label} ", "dim"))
        out.append((number, "bright"))
        if word and not (tight and unit in PLAIN) and (spec.rate or line is shown[-1]):
            out.append((f" {word}", "dim"))
    return out


def _told(value: float | None, unit: str) -> tuple[str, str]:
    """Return a value and its unit, no finer than it is measured."""
    number, word = split_value(value, unit)
    return (number if value is None or unit not in WHOLE else f"{value * WHOLE[unit]:.0f}"), word


def _at(
    line: _Line, mean: F8, spec: Spec, now: float, cursor: int | None
) -> float | None:
    if cursor is not None:
        return float(mean[cursor]) if np.isfinite(mean[cursor]) else None
    if spec.rate:
        return line.series[0].rate(5.0, now) if latest(line.series[0], now) is not None else None
    values = [value for one in line.series if (value := latest(one, now)) is not None]
    return sum(values) / len(values) if values else None
