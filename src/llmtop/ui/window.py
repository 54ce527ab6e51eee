"""Which x axis and which stretch of it the charts of a run show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtop.ui.view import AXES, Axis, Extent, View, visible

if TYPE_CHECKING:
    from llmtop.ui.shown import Shown


TIME_SCREENS = frozenset({"gpus"})
"""Screens whose panels are of machines and runs alike, which have only time in common."""


def axis_of(view: View, shown: Shown) -> Axis:
    """Return the x axis: the chosen one, else steps where there are any."""
    if view.screen in TIME_SCREENS:
        return "time"
    if view.axis == "step" and not shown.has_steps:
        return "time"
    return view.axis or ("step" if shown.has_steps else "time")


def next_axis(axis: Axis) -> Axis:
    """Return the axis after `axis`."""
    return AXES[(AXES.index(axis) + 1) % len(AXES)]


def window_of(view: View, shown: Shown) -> Extent:
    """Return the (start, stop) of the x axis that is looked at."""
    return visible(view, shown.extent(axis_of(view, shown)))
