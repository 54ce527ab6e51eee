"""Which y range a chart shows: every line whole, but not flattened by how a run began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.chart import nice_range
from llmtop.ui.curve import Curve
from llmtop.units import binary_scale

F8 = NDArray[np.float64]

USUAL_SHARE = 0.02
"""Raw samples between this share and its complement are the usual ones."""
SPIKE_HEIGHT = 2.0
"""How far beyond the usual raw samples a spike may widen the range, in heights of the usual: it is
seen for what it is, and what rises higher is drawn at the edge instead of flattening the rest."""
LIMIT_NEAR = 2.0
"""A limit further from the data than this factor would flatten them."""
BEGINNING = 0.08
"""Share of a run's columns that count as its beginning: a loss falls from ln(vocabulary) there."""
HEADROOM = 0.6
"""How far above the rest of the run its beginning may reach before it is cut off, as a share of
the rest's height: enough that the line is seen to come in from above."""


class Reach(NamedTuple):
    """A y range, and where lines are cut off."""

    low: float
    high: float
    cut: int
    """Columns at the left in which what lies above the range is left out."""

    def clipped(self, values: F8) -> F8:
        """Return values without those of the beginning that lie above the range."""
        if not self.cut:
            return values
        values = values.copy()
        first = values[: self.cut]
        first[first > self.high] = np.nan
        return values


def reach(
    found: Sequence[Curve], *, filled: bool, log: bool, whole: bool, unit: str = "",
    limit: float | None = None,
) -> Reach:
    """Return the y range of curves.

    Args:
        found: the curves; faint ones count too.
        filled: the area below them means something: zero is in sight.
        log: the axis is logarithmic.
        whole: the run is shown from its beginning, and lower is better: its first, high values
            may leave the chart at the top.
        unit: bytes have round edges in their binary unit.
        limit: what was promised; it is in sight where the data are near it.
    """
    low, high = _edges(found, 0)
    if limit is not None and low / LIMIT_NEAR < limit < high * LIMIT_NEAR:
        low, high = min(low, limit), max(high, limit)
    if filled and not log:
        low = min(low, 0.0)
    cut = 0
    if whole and not log:
        finite = [np.flatnonzero(np.isfinite(curve.line)) for curve in found]
        first = min((int(at[0]) for at in finite if len(at)), default=0)
        last = max((int(at[-1]) for at in finite if len(at)), default=0)
        begun = first + 1 + round(BEGINNING * (last - first))
        rest = _edges(found, begun)
        top = rest[1] + HEADROOM * (rest[1] - rest[0])
        if last > begun and top < high:
            # The fall goes on after the beginning, so the columns that leave are found by value.
            high, cut = top, begun
    scale = binary_scale(max(abs(low), abs(high))) if unit == "bytes" else 1.0
    nice = nice_range(None, low / scale, high / scale, log)
    return Reach(nice[0] * scale, nice[1] * scale, cut)


def _edges(found: Sequence[Curve], start: int) -> tuple[float, float]:
    """Return lowest and highest of what columns from `start` on hold."""
    lows, highs = [], []
    for curve in found:
        line = curve.line[start:]
        line = line[np.isfinite(line)]
        if len(line):
            lows.append(float(line.min()))
            highs.append(float(line.max()))
        if curve.low is not None and curve.high is not None:
            low, high = curve.low[start:], curve.high[start:]
            low, high = low[np.isfinite(low)], high[np.isfinite(high)]
            if len(low) and len(high):
                bottom = float(np.quantile(low, USUAL_SHARE))
                top = float(np.quantile(high, 1 - USUAL_SHARE))
                room = SPIKE_HEIGHT * (top - bottom)
                lows.append(max(float(low.min()), bottom - room))
                highs.append(min(float(high.max()), top + room))
    return min(lows, default=0.0), max(highs, default=1.0)
