"""Which x axis and which stretch of it the charts of a run show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtop.ui.select import current
from llmtop.ui.view import AXES, Axis, Extent, View

if TYPE_CHECKING:
    from llmtop.store import Run


def has_steps(run: Run) -> bool:
    """Return whether the run logs steps, so that its charts can stand over them."""
    return run.phase != "serve" and any(series.extent("step") for series in current(run))


def axis_of(view: View, run: Run) -> Axis:
    """Return the x axis: the chosen one, else steps where there are any."""
    if view.axis == "step" and not has_steps(run):
        return "time"
    return view.axis or ("step" if has_steps(run) else "time")


def next_axis(axis: Axis) -> Axis:
    """Return the axis after `axis`."""
    return AXES[(AXES.index(axis) + 1) % len(AXES)]


def extent_of(run: Run, axis: Axis) -> Extent:
    """Return the (low, high) that all series of the run, of every attempt, span together."""
    spans = [span for series in run.series if (span := series.extent(axis)) is not None]
    if not spans:
        return 0.0, 1.0
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    return low, high if high > low else low + 1.0
