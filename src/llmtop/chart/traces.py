"""Areas, envelopes, lines and points: from faint to bright, the first trace on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtop.chart import braille
from llmtop.chart.braille import BRAILLE, DOTS_A_CELL, Bits, Spans
from llmtop.chart.picture import FILL_SHADES, ROLE_INDEX, SERIES_COUNT, Canvas
from llmtop.chart.scale import Scale
from llmtop.chart.spec import F8, Area, Plot, Trace

POINT = ord("•")


@dataclass(frozen=True)
class Field:
    """The drawing area of a canvas: views of shape (area.height, area.width)."""

    chars: NDArray[np.uint32]
    styles: NDArray[np.uint8]
    lit: NDArray[np.bool_]
    """Cells that hold data or a threshold's label; what is drawn later leaves them alone."""


def field(canvas: Canvas, area: Area) -> Field:
    """Return the part of the canvas that `area` covers, with nothing lit."""
    window = np.s_[: area.height, area.left : area.left + area.width]
    lit = np.zeros((area.height, area.width), dtype=np.bool_)
    return Field(canvas.chars[window], canvas.styles[window], lit)


def line_role(trace: Trace) -> str:
    """Return the role of a trace's line, points and end label."""
    return f"{'raw' if trace.faint else 'series'}-{trace.colour % SERIES_COUNT + 1}"


def draw_traces(on: Field, spec: Plot, scale: Scale) -> None:
    """Draw every trace of the plot."""
    order = [*reversed(spec.traces)]
    for trace in order:
        if trace.filled and trace.line is not None:
            _area(on, trace, trace.line, scale)
    for trace in order:
        if trace.low is not None and trace.high is not None:
            edges = _rows(trace.high, on, scale), _rows(trace.low, on, scale)
            bits = braille.cells(braille.spans(*edges, scale.dots), scale.cells)
            _stamp(on, bits, f"raw-{trace.colour % SERIES_COUNT + 1}", beside=True)
    for faint in (True, False):
        for trace in order:
            if trace.faint == faint and trace.line is not None:
                _line(on, trace, trace.line, scale)
    for trace in order:
        if trace.points is not None:
            _points(on, _rows(trace.points, on, scale), line_role(trace))


def _rows(values: F8, on: Field, scale: Scale) -> F8:
    """Return the dot rows of values cut or extended to the field's dot columns."""
    columns = on.lit.shape[1] * 2
    if len(values) != columns:
        values = np.concatenate([values[:columns], np.full(max(0, columns - len(values)), np.nan)])
    return scale.rows(values)


def _stamp(on: Field, bits: Bits, role: str, beside: bool = False) -> None:
    """Put braille on the field: in place of what stands there, or beside the dots that do."""
    new = bits > 0
    if beside:
        bits = np.where(new & on.lit, bits | (on.chars & 0xFF).astype(np.uint8), bits)
    np.copyto(on.chars, bits + np.uint32(BRAILLE), where=new)
    on.styles[new] = ROLE_INDEX[role]
    on.lit[new] = True


def _line(on: Field, trace: Trace, values: F8, scale: Scale) -> None:
    rows = _rows(values, on, scale)
    lit = braille.spans(rows, rows, scale.dots)
    _stamp(on, braille.cells(lit, scale.cells), line_role(trace))
    if trace.critical_above is not None and not trace.faint:
        limit = scale.rows(np.array([trace.critical_above]))[0]
        if np.isfinite(limit):
            above = Spans(lit.first, np.minimum(lit.last, int(limit) - 1))
            on.styles[braille.cells(above, scale.cells) > 0] = ROLE_INDEX["critical"]


def _area(on: Field, trace: Trace, values: F8, scale: Scale) -> None:
    rows = _rows(values, on, scale)
    zero = scale.rows(np.zeros(1))[0]
    seen = np.isfinite(rows)
    first = np.where(seen, np.minimum(rows, zero), scale.dots).astype(np.int32)
    last = np.where(seen, np.maximum(rows, zero), -1).astype(np.int32)
    bits = braille.cells(Spans(first, last), scale.cells) & braille.CHEQUER
    new = bits > 0
    np.copyto(on.chars, bits + np.uint32(BRAILLE), where=new)
    shades = len(FILL_SHADES)
    shade = np.arange(scale.cells) * shades // scale.cells
    first_role = ROLE_INDEX[f"fill-{trace.colour % SERIES_COUNT + 1}-{FILL_SHADES[0]}"]
    np.copyto(on.styles, (shade + first_role).astype(np.uint8)[:, None], where=new)


def _points(on: Field, rows: F8, role: str) -> None:
    columns = np.flatnonzero(np.isfinite(rows))
    at = rows[columns].astype(np.intp) // DOTS_A_CELL, columns // 2
    on.chars[at] = POINT
    on.styles[at] = ROLE_INDEX[role]
    on.lit[at] = True
