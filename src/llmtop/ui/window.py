"""Which x axis and which stretch of it the charts of a run show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llmtop.ui.select import current
from llmtop.ui.view import AXES, Axis, Extent, View

if TYPE_CHECKING:
    from llmtop.store import Run


def has_steps(run: Run) -> bool:
    """Return whether the run logs steps, so that its charts can stand over them."""
    return run.phase != "serve" and any(series.last[0] >= 0 for series in current(run)
                                        if series.n)


def axis_of(view: View, run: Run) -> Axis:
    """Return the x axis: the chosen one, else steps where there are any."""
    if view.axis == "step" and not has_steps(run):
        return "time"
    return view.axis or ("step" if has_steps(run) else "time")


def next_axis(axis: Axis) -> Axis:
    """Return the axis after `axis`."""
    return AXES[(AXES.index(axis) + 1) % len(AXES)]


def extent_of(run: Run, axis: Axis) -> Extent:
    """Return the (low, high) that all series of the run's present attempt span together."""
    low, high = math.inf, -math.inf
    for series in current(run):
        if not series.n:
            continue
        first, last = series.extent(axis)
        if math.isfinite(first) and math.isfinite(last) and not (axis == "step" and last < 0):
            low, high = min(low, first), max(high, last)
    if low > high:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0
