"""From values to dot rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from llmtop.chart.braille import DOTS_A_CELL, F8

STEADY = 1e-6
"""Dots by which everything is moved, so that what lies between two rows but for the rounding of
float64 does not waver between them."""
LARGEST_MIDDLE = 1e308
"""Around a larger number there is no room in float64."""


@dataclass(frozen=True)
class Scale:
    """The y axis of a chart; what lies beyond its range is drawn at the edge."""

    low: float
    high: float
    log: bool
    cells: int
    """Rows of cells."""

    @property
    def dots(self) -> int:
        """Dot rows."""
        return self.cells * DOTS_A_CELL

    def rows(self, values: F8) -> F8:
        """Return whole dot rows, 0 at the top; NaN where a value is not finite."""
        low, high = self.low, self.high
        seen = np.isfinite(values)
        with np.errstate(all="ignore"):
            if self.log:
                values = np.where(values > 0, np.log10(values), -np.inf)
                low, high = math.log10(low), math.log10(high)
            elif not math.isfinite(high - low):
                values, low, high = values / 4, low / 4, high / 4
            row = np.rint((high - values) / (high - low) * (self.dots - 1) + STEADY)
            row = np.minimum(np.maximum(row, 0), self.dots - 1)
        return np.where(seen, row, np.nan)

    def row(self, value: float) -> int | None:
        """Return the dot row of one value, None where it lies out of the range."""
        spare = (self.high / 2 - self.low / 2) * 1e-9
        if not (math.isfinite(value) and self.low - spare <= value <= self.high + spare):
            return None
        return int(self.rows(np.array([value], dtype=np.float64))[0])

    def cell(self, value: float) -> int | None:
        """Return the row of cells of one value, None as for `row`."""
        row = self.row(value)
        return None if row is None else row // DOTS_A_CELL


def scale(low: float, high: float, log: bool, cells: int) -> Scale:
    """Return a scale that can be drawn on, whatever the range."""
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    low, high = min(low, high), max(low, high)
    if low == high:
        middle = min(max(low, -LARGEST_MIDDLE), LARGEST_MIDDLE)
        pad = abs(middle) * 0.1 or 1.0
        low, high = middle - pad, middle + pad
    return Scale(low, high, log and low > 0 and math.log10(low) < math.log10(high), cells)
