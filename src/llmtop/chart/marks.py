"""What stands behind and between the lines: grid, thresholds, events, bad samples, crosshair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmtop.chart.picture import ROLE_INDEX, shortened
from llmtop.chart.scale import Scale
from llmtop.chart.spec import Mark, Plot, Threshold, Trace
from llmtop.chart.traces import Field

ALL = slice(None)
GRID, DASH, HAIRLINE, CROSSHAIR, BAD = (ord(glyph) for glyph in "┈╌┊│×")
CELLS_A_HAIRLINE = 8
"""With more events than one in so many cells, hairlines would hide the chart: glyphs remain."""
FAINT = {"critical": "raw-3", "warning": "raw-2", "ok": "raw-5"}
"""Full colour is for what is wrong, so lines that only say where take a faint shade of it: series
2, 3 and 5 have those hues in every theme that derives its series."""
SEVERITY = ("critical", "warning", "ok")
"""Of several marks in one cell the first of these is shown."""


def draw_grid(on: Field, rows: Sequence[int]) -> None:
    """Draw a faint line at each of the given rows of cells."""
    for row in rows:
        on.chars[row] = GRID
        on.styles[row] = ROLE_INDEX["grid"]


def draw_threshold(on: Field, threshold: Threshold, scale: Scale) -> None:
    """Draw a dashed line between the data, its label above or below where there is room."""
    row = scale.cell(threshold.value)
    if row is None:
        return
    role = FAINT.get(threshold.role, "dim")
    _write(on, row, ALL, DASH, role)
    label = shortened(threshold.label, on.lit.shape[1] - 2)
    codes = np.array([ord(c) for c in label], dtype=np.uint32)
    for beside in (row - 1, row + 1):
        if 0 <= beside < scale.cells and len(codes):
            at = _free_stretch(on, beside, len(codes) + 2)
            if at is not None:
                on.chars[beside, at + 1 : at + 1 + len(codes)] = codes
                on.styles[beside, at + 1 : at + 1 + len(codes)] = ROLE_INDEX[role]
                on.lit[beside, at + 1 : at + 1 + len(codes)] = True
                return


def _free_stretch(on: Field, row: int, cells: int) -> int | None:
    """Return the first cell of `row` from which `cells` hold no data, None where nothing does."""
    before = np.concatenate([[0], np.cumsum(on.lit[row])])
    free = np.flatnonzero(before[cells:] == before[: max(0, len(before) - cells)])
    return int(free[0]) if len(free) else None


def draw_marks(on: Field, marks: Sequence[Mark]) -> None:
    """Draw events: glyphs on the top edge, and hairlines unless there are too many."""
    width = on.lit.shape[1]
    shown: dict[int, Mark] = {}
    for mark in marks:
        cell = mark.column // 2
        if 0 <= cell < width and (cell not in shown or _rank(mark) < _rank(shown[cell])):
            shown[cell] = mark
    crowded = len(shown) > max(1, width // CELLS_A_HAIRLINE)
    for cell, mark in shown.items():
        if not crowded or mark.role == SEVERITY[0]:
            role = FAINT.get(mark.role, "grid")
            _write(on, ALL, cell, HAIRLINE, role)
        if mark.glyph:
            on.chars[0, cell] = ord(mark.glyph[0])
            on.styles[0, cell] = ROLE_INDEX[mark.role]


def _rank(mark: Mark) -> int:
    return SEVERITY.index(mark.role) if mark.role in SEVERITY else len(SEVERITY)


def draw_bad(on: Field, traces: Sequence[Trace]) -> None:
    """Mark columns with NaN or infinite samples on the top edge."""
    for trace in traces:
        for values in (trace.line, trace.low, trace.high, trace.points):
            if values is not None:
                _bad_cells(on, np.isinf(values))
        if trace.bad is not None:
            _bad_cells(on, trace.bad)


def _bad_cells(on: Field, bad: NDArray[np.bool_]) -> None:
    cells = np.flatnonzero(bad) // 2
    cells = cells[cells < on.lit.shape[1]]
    on.chars[0, cells] = BAD
    on.styles[0, cells] = ROLE_INDEX["critical"]


def draw_cursor(on: Field, spec: Plot) -> None:
    """Draw the crosshair's upright between the data."""
    if spec.cursor is not None and 0 <= spec.cursor // 2 < on.lit.shape[1]:
        cell = spec.cursor // 2
        _write(on, ALL, cell, CROSSHAIR, "cursor")


def _write(on: Field, row: slice | int, column: slice | int, glyph: int, role: str) -> None:
    """Put a glyph on a row or a column of the field where no data stands."""
    free = ~on.lit[row, column]
    on.chars[row, column][free] = glyph
    on.styles[row, column][free] = ROLE_INDEX[role]
