"""Text around the drawing area: y labels, x labels, and labels at the lines' ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llmtop.chart.braille import DOTS_A_CELL
from llmtop.chart.picture import Canvas, shortened
from llmtop.chart.scale import Scale
from llmtop.chart.scale import scale as scale_of
from llmtop.chart.spec import Area, Plot, Trace
from llmtop.chart.ticks import log_ticks, ticks
from llmtop.chart.traces import line_role
from llmtop.units import format_axis

ROWS_A_TICK = 2
"""An empty row between two labels: nearer they would be a column of numbers, not an axis."""
MOST_TICKS = 6
"""More grid lines than these would be seen before the data."""
_SHORT_UNITS = {" GiB": "G", " MiB": "M", " KiB": "K", " TiB": "T"}
KIB, LARGEST_POWER = 1024.0, 4
"""Byte labels are round in KiB, MiB, GiB or TiB, not in powers of ten."""
MOST_Y_LABEL = 9
"""Cells beyond which a y label costs the chart more than it tells."""


def y_ticks(scale: Scale, unit: str) -> dict[int, str]:
    """Return row of cells -> label, from the top; at most one tick a row."""
    most = min(MOST_TICKS, max(2, -(-scale.cells // ROWS_A_TICK)))
    size = _unit_size(scale, unit)
    found_at = (log_ticks if scale.log else ticks)(scale.low / size, scale.high / size, most)
    values = [value * size for value in found_at]
    labels = format_axis(values, unit)
    if scale.log and size == 1.0:
        # Decades apart, they need no decimals in common.
        labels = [format_axis([value], unit)[0] for value in values]
    found: dict[int, str] = {}
    for value, label in sorted(zip(values, labels, strict=True), reverse=True):
        row = scale.cell(value)
        if row is not None and row not in found and label not in found.values():
            found[row] = label
    return found


def _unit_size(scale: Scale, unit: str) -> float:
    """Return the bytes of the binary unit that labels are in (of other units, 1)."""
    top = max(abs(scale.low), abs(scale.high))
    if unit != "bytes" or top < KIB:
        return 1.0
    return KIB ** min(LARGEST_POWER, math.floor(math.log(top, KIB) + 1e-12))


def y_label_cells(low: float, high: float, unit: str, log: bool, rows: int) -> int:
    """Return the cells the longest y label takes, for `plot_area`; `rows` of drawing area."""
    labels = y_ticks(scale_of(low, high, log, max(1, rows)), unit).values()
    return min(MOST_Y_LABEL, max((len(_tight(label)) for label in labels), default=0))


def _tight(label: str) -> str:
    for unit, short in _SHORT_UNITS.items():
        if label.endswith(unit):
            return label[: -len(unit)] + short
    return label


def draw_y_labels(canvas: Canvas, labels: dict[int, str], area: Area) -> None:
    """Write the y labels against the left edge of the drawing area.

    One that has no room is left out, for a number without its last digits is another number; only
    where none has room is each cut, with an ellipsis.
    """
    room = area.left - 1
    if room <= 0:
        return
    tight = {row: label if len(label) <= room else _tight(label).replace(" ", "")
             for row, label in labels.items()}
    whole = {row: text for row, text in tight.items() if len(text) <= room}
    for row, text in (whole or tight).items():
        canvas.put(0, row, shortened(text, room).rjust(room), "axis")


def draw_x_labels(canvas: Canvas, spec: Plot, area: Area) -> None:
    """Write the x labels below their columns, the crosshair's readout before all others."""
    taken = np.zeros(canvas.width + 1, dtype=np.bool_)
    shown = [(column, label, "axis") for column, label in spec.x_ticks]
    if spec.cursor is not None and 0 <= spec.cursor < area.dots and spec.readout:
        shown.insert(0, (spec.cursor, shortened(spec.readout, canvas.width), "cursor"))
    for column, label, role in shown:
        if not (0 <= column < area.dots and 0 < len(label) <= canvas.width):
            continue
        at = area.left + column // 2 - len(label) // 2
        at = min(max(at, 0), canvas.width - len(label))
        around = slice(max(0, at - 1), at + len(label) + 1)
        if not taken[around].any():
            taken[at : at + len(label)] = True
            canvas.put(at, area.height, label, role)


def draw_end_labels(canvas: Canvas, spec: Plot, area: Area, scale: Scale) -> None:
    """Write each trace's label beside its last point, none over another."""
    ends: list[tuple[Trace, float, bool]] = []
    for trace in spec.traces:
        values = trace.line if trace.line is not None else trace.points
        if values is None or not (trace.label or trace.value):
            continue
        seen = np.flatnonzero(np.isfinite(values[: area.dots]))
        if len(seen):
            last = values[seen[-1]]
            limit = trace.critical_above
            over = limit is not None and bool(last > limit) and not trace.faint
            ends.append((trace, float(last), over))
    ends = sorted(ends[: area.height], key=lambda end: -end[1])
    rows = scale.rows(np.array([value for _, value, _ in ends])) // DOTS_A_CELL
    places = spread(rows.astype(int).tolist(), area.height)
    named = max((len(trace.label) for trace, _, _ in ends if trace.value), default=0)
    left = area.left + area.width
    for (trace, _, over), row in zip(ends, places, strict=True):
        role = "critical" if over else line_role(trace)
        canvas.put(left, row, "╴", role)
        left_over = area.right - 1
        text = trace.value or trace.label
        if trace.value and trace.label and named + 1 + len(trace.value) <= left_over:
            canvas.put(left + 1, row, trace.label, "dim")
            canvas.put(left + 2 + named, row, trace.value, role)
        else:
            canvas.put(left + 1, row, shortened(text, left_over), role)


def spread(wanted: Sequence[int], rows: int) -> list[int]:
    """Return distinct rows (0..rows - 1) as near as can be to those wanted, in the same order.

    Neighbours that would overlap form a block that is centred on what they want.

    Args:
        wanted: at most `rows` rows, none above the one before it.
        rows: how many there are.
    """
    blocks: list[tuple[float, int]] = []
    for want in wanted:
        first, members = float(want), 1
        while blocks and sum(blocks[-1]) > first:
            above, more = blocks.pop()
            # The lower block wants the joint one to begin as many rows earlier as stand above it.
            first = (above * more + (first - more) * members) / (more + members)
            members += more
        blocks.append((first, members))
    places: list[int] = []
    for first, members in blocks:
        start = max(len(places) and places[-1] + 1, round(first))
        places += range(start, start + members)
    return [min(place, rows - len(places) + k) for k, place in enumerate(places)]
