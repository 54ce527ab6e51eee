"""What a chart shows and where in its cells: the input of `plot`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

Y_LABELS = 6
"""Cells for y labels unless told: "0.0025", "400 ms"."""
END_LABELS = 8
"""Cells for the labels at the lines' ends unless told: "p99 1.21s"."""
AXES_FROM = 16
"""Charts narrower than this have no y labels."""
END_LABELS_FROM = 44
"""Narrower charts have no labels at the lines' ends: the panel's title tells the values."""
X_LABELS_FROM = 3
"""Charts of fewer rows have no x labels."""


@dataclass(frozen=True)
class Trace:
    """One series over the dot columns; all arrays have `Area.dots` columns, NaN = no data."""

    colour: int
    """Index of the series colour; counts on from the first after SERIES_COUNT."""
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
    """Shade the area between the line and zero."""
    faint: bool = False
    """An earlier attempt, or a lesser line: drawn in the raw shade."""
    label: str = ""
    """Text at the line's end: in the line's colour, or faint where a value follows."""
    value: str = ""
    """The number behind the label, in the line's colour."""
    critical_above: float | None = None
    """The line turns critical above this value."""


@dataclass(frozen=True)
class Mark:
    """Something that happened at a dot column: a glyph on top and a hairline through the chart."""

    column: int
    glyph: str
    role: str


@dataclass(frozen=True)
class Threshold:
    """A dashed line across the chart; its label stands where no line is in the way."""

    value: float
    label: str = ""
    role: str = "critical"


@dataclass(frozen=True)
class Plot:
    """Everything a chart shows."""

    traces: Sequence[Trace]
    """Most important first: it lies on top, and its end label is kept longest."""
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
    readout: str = ""
    """Where the crosshair stands ("step 31,200"), written below it."""
    y_labels: int = Y_LABELS
    end_labels: int = END_LABELS
    """Cells for labels, as given to `plot_area`."""


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


def plot_area(
    width: int, height: int, y_labels: int = Y_LABELS, end_labels: int = END_LABELS
) -> Area:
    """Return the drawing area of a chart of `width` x `height` cells; at least one cell.

    Args:
        width: cells of the whole chart.
        height: rows of the whole chart.
        y_labels: cells for the longest y label, see `y_label_cells`; 0 = none.
        end_labels: cells for the longest label at a line's end; 0 = none.
    """
    left = y_labels + 1 if y_labels > 0 and width >= max(AXES_FROM, 2 * y_labels) else 0
    wide = width >= max(END_LABELS_FROM, 2 * (end_labels + left))
    right = end_labels + 1 if end_labels > 0 and wide else 0
    rows = height - 1 if height >= X_LABELS_FROM else height
    return Area(left, max(1, width - left - right), max(1, rows), right)
