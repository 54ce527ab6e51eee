"""A line chart: grid, area, raw envelope, bright line, points, marks, crosshair, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.chart import braille
from llmtop.chart.axis import log_ticks, ticks
from llmtop.chart.picture import ROLE_INDEX, SERIES_COUNT, Canvas, Picture
from llmtop.units import format_axis

F8 = NDArray[np.float64]

LEFT = 7
"""Cells for y labels: six digits and a space."""
RIGHT = 9
"""Cells for the labels at the lines' ends."""
LABELS_FROM = 44
"""Charts of at least this width have room for labels at the lines' ends."""
AXES_FROM = 16
"""Charts narrower than this have no y labels."""
ROWS_A_TICK = 3


@dataclass(frozen=True)
class Trace:
    """One series over the dot columns; all arrays have the area's `dots` columns, NaN = none."""

    colour: int
    """Index 0..5 of the series colour."""
    line: F8 | None = None
    """Bright line: smoothed values or a percentile."""
    low: F8 | None = None
    """Faint envelope, lower edge."""
    high: F8 | None = None
    points: F8 | None = None
    """Single bright dots: evaluations."""
    bad: NDArray[np.bool_] | None = None
    """Columns that hold NaN or infinite samples: marked on the top edge."""
    filled: bool = False
    faint: bool = False
    """An earlier attempt, or a lesser line: drawn in the raw shade."""
    label: str = ""
    """Text at the line's end."""


@dataclass(frozen=True)
class Mark:
    """Something that happened at a dot column: a glyph on top and a hairline through the chart."""

    column: int
    glyph: str
    role: str


@dataclass(frozen=True)
class Threshold:
    """A dashed line across the chart."""

    value: float
    label: str = ""
    role: str = "critical"


@dataclass(frozen=True)
class Plot:
    """Everything a chart shows."""

    traces: Sequence[Trace]
    low: float
    high: float
    """The y range."""
    unit: str = ""
    log: bool = False
    x_ticks: Sequence[tuple[int, str]] = ()
    """(dot column, label)."""
    thresholds: Sequence[Threshold] = ()
    marks: Sequence[Mark] = ()
    cursor: int | None = None
    """Dot column of the crosshair."""


class Area(NamedTuple):
    """Where the lines are drawn inside a chart of a given size, in cells."""

    left: int
    width: int
    height: int
    right: int

    @property
    def dots(self) -> int:
        """Dot columns: two a cell."""
        return self.width * 2


def plot_area(width: int, height: int) -> Area:
    """Return the drawing area of a chart of `width` x `height` cells; at least one cell."""
    left = LEFT if width >= AXES_FROM else 0
    right = RIGHT if width >= LABELS_FROM else 0
    rows = height - 1 if height >= 3 else height
    return Area(left, max(1, width - left - right), max(1, rows), right)


def plot(spec: Plot, width: int, height: int, *, unicode: bool = True) -> Picture:
    """Return the chart as `height` rows of `width` cells; never fails, whatever the size."""
    canvas = Canvas(max(1, width), max(1, height))
    area = plot_area(width, height)
    y = _Rows(spec, area.height)
    _grid(canvas, spec, area, y, unicode)
    lit = _lines(canvas, spec, area, y, unicode)
    for threshold in spec.thresholds:
        _threshold(canvas, threshold, area, y, lit, unicode)
    for mark in spec.marks:
        _mark(canvas, mark, area, lit, unicode)
    _bad(canvas, spec, area, unicode)
    if spec.cursor is not None and 0 <= spec.cursor < area.dots:
        _vertical(canvas, spec.cursor // 2, area, lit, "│" if unicode else "|", "cursor")
    if area.right:
        _end_labels(canvas, spec, area, y, unicode)
    if height >= 3:
        _x_labels(canvas, spec, area)
    return canvas.picture()


class _Rows:
    """Value -> dot row."""

    def __init__(self, spec: Plot, cells: int) -> None:
        self.low, self.high, self.log = spec.low, spec.high, spec.log and spec.low > 0
        self.dots = cells * 4

    def __call__(self, values: F8) -> F8:
        return braille.rows_of(values, self.low, self.high, self.dots, self.log)

    def cell(self, value: float) -> int | None:
        row = self(np.array([value], dtype=np.float64))[0]
        return None if np.isnan(row) else int(row) // 4


def _grid(canvas: Canvas, spec: Plot, area: Area, y: _Rows, unicode: bool) -> None:
    most = max(2, area.height // ROWS_A_TICK)
    values = (log_ticks if y.log else ticks)(spec.low, spec.high, most)
    used: set[int] = set()
    for value, label in zip(values, format_axis(values, spec.unit), strict=True):
        row = y.cell(value)
        if row is None or row in used:
            continue
        used.add(row)
        if area.left:
            cut = label.replace(" ", "") if len(label) > LEFT - 1 else label
            canvas.put(0, row, cut[: LEFT - 1].rjust(LEFT - 1), "axis")
        line = ("┈" if unicode else ".") * area.width
        canvas.put(area.left, row, line, "grid")


def _lines(canvas: Canvas, spec: Plot, area: Area, y: _Rows, unicode: bool) -> NDArray[np.bool_]:
    """Draw areas, envelopes, lines and points in that order; return which cells are lit."""
    lit = np.zeros((area.height, area.width), dtype=bool)
    for trace in spec.traces:
        if trace.filled and trace.line is not None:
            _fill(canvas, trace, area, y, lit, unicode)
    for trace in spec.traces:
        if trace.low is not None and trace.high is not None:
            dots = braille.envelope(y(trace.high), y(trace.low), y.dots)
            _stamp(canvas, dots, area, f"raw-{_colour(trace)}", lit, unicode, over=False)
    for faint in (True, False):
        for trace in spec.traces:
            if trace.faint == faint and trace.line is not None:
                rows = y(trace.line)
                role = f"{'raw' if faint else 'series'}-{_colour(trace)}"
                _stamp(canvas, braille.envelope(rows, rows, y.dots), area, role, lit, unicode)
    for trace in spec.traces:
        if trace.points is not None:
            rows = y(trace.points)
            _points(canvas, rows, area, f"series-{_colour(trace)}", lit, unicode)
    return lit


def _colour(trace: Trace) -> int:
    return trace.colour % SERIES_COUNT + 1


def _stamp(
    canvas: Canvas, dots: NDArray[np.bool_], area: Area, role: str, lit: NDArray[np.bool_],
    unicode: bool, over: bool = True,
) -> None:
    """Put the lit cells of `dots` on the canvas; `over` replaces what stands there."""
    bits = braille.cells(dots)
    on = bits > 0
    window = np.s_[: area.height, area.left : area.left + area.width]
    chars, styles = canvas.chars[window], canvas.styles[window]
    if unicode:
        old = np.where(lit & (not over) & (chars >= braille.BRAILLE), chars - braille.BRAILLE, 0)
        chars[on] = braille.BRAILLE + (bits | old)[on]
    else:
        chars[on] = _ascii(bits)[on]
    styles[on] = ROLE_INDEX[role]
    lit |= on


def _ascii(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return ' . : for cells lit in the upper half, the lower half, or both."""
    upper, lower = bits & 0x1B > 0, bits & 0xE4 > 0
    return np.where(upper & lower, ord(":"), np.where(upper, ord("'"), ord("."))).astype(np.uint32)


def _fill(
    canvas: Canvas, trace: Trace, area: Area, y: _Rows, lit: NDArray[np.bool_], unicode: bool
) -> None:
    assert trace.line is not None
    if not unicode:
        return
    bits = braille.cells(braille.area(y(trace.line), y.dots))
    on = bits > 0
    window = np.s_[: area.height, area.left : area.left + area.width]
    canvas.chars[window][on] = braille.BRAILLE + bits[on]
    shade = np.minimum(np.arange(area.height) * 4 // max(1, area.height), 3)
    first = ROLE_INDEX[f"fill-{_colour(trace)}-a"]
    styles = np.broadcast_to((first + shade)[:, None], on.shape)
    canvas.styles[window][on] = styles[on]


def _points(
    canvas: Canvas, rows: F8, area: Area, role: str, lit: NDArray[np.bool_], unicode: bool
) -> None:
    columns = np.flatnonzero(np.isfinite(rows))
    for column in columns.tolist():
        row, x = int(rows[column]) // 4, column // 2
        if x < area.width:
            canvas.put(area.left + x, row, "•" if unicode else "o", role)
            lit[row, x] = True


def _threshold(
    canvas: Canvas, threshold: Threshold, area: Area, y: _Rows, lit: NDArray[np.bool_],
    unicode: bool,
) -> None:
    if not y.low <= threshold.value <= y.high:
        return
    row = y.cell(threshold.value)
    if row is None:
        return
    free = ~lit[row]
    window = np.s_[row, area.left : area.left + area.width]
    canvas.chars[window][free] = ord("╌" if unicode else "-")
    canvas.styles[window][free] = ROLE_INDEX[threshold.role]
    if threshold.label and row > 0:
        canvas.put(area.left + 1, row - 1, threshold.label[: area.width - 1], threshold.role)


def _vertical(
    canvas: Canvas, x: int, area: Area, lit: NDArray[np.bool_], glyph: str, role: str
) -> None:
    if not 0 <= x < area.width:
        return
    free = ~lit[:, x]
    column = np.s_[: area.height, area.left + x]
    canvas.chars[column][free] = ord(glyph)
    canvas.styles[column][free] = ROLE_INDEX[role]


def _mark(
    canvas: Canvas, mark: Mark, area: Area, lit: NDArray[np.bool_], unicode: bool
) -> None:
    x = mark.column // 2
    if 0 <= x < area.width:
        _vertical(canvas, x, area, lit, "┊" if unicode else ":", "grid")
        canvas.put(area.left + x, 0, mark.glyph, mark.role)


def _bad(canvas: Canvas, spec: Plot, area: Area, unicode: bool) -> None:
    for trace in spec.traces:
        if trace.bad is not None:
            for x in sorted({c // 2 for c in np.flatnonzero(trace.bad).tolist()}):
                if x < area.width:
                    canvas.put(area.left + x, 0, "×" if unicode else "x", "critical")


def _end_labels(canvas: Canvas, spec: Plot, area: Area, y: _Rows, unicode: bool) -> None:
    """Write each line's label beside its end, the first traces first, none over another."""
    taken: set[int] = set()
    for trace in spec.traces:
        values = trace.line if trace.line is not None else trace.points
        if not trace.label or values is None:
            continue
        finite = np.flatnonzero(np.isfinite(values))
        if not len(finite):
            continue
        row = y.cell(float(values[finite[-1]]))
        if row is None:
            continue
        near = [r for d in (0, -1, 1, -2, 2) if 0 <= (r := row + d) < area.height
                and r not in taken]
        if not near:
            continue
        taken.add(near[0])
        text = ("╴" if unicode else "-") + trace.label
        if len(text) > area.right:
            text = text[: area.right - 1] + ("…" if unicode else "~")
        role = f"{'raw' if trace.faint else 'series'}-{_colour(trace)}"
        canvas.put(area.left + area.width, near[0], text, role)


def _x_labels(canvas: Canvas, spec: Plot, area: Area) -> None:
    free = 0
    for column, label in spec.x_ticks:
        at = area.left + column // 2 - len(label) // 2
        at = max(0 if not area.left else area.left - 2, at)
        if at < free or at + len(label) > canvas.width:
            continue
        canvas.put(at, area.height, label, "axis")
        free = at + len(label) + 1
