"""Key and mouse actions: each turns the present view into the next one, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmtop.ui import drill
from llmtop.ui.select import matching, selected
from llmtop.ui.view import PAN, SMOOTHING, ZOOM, View, choose, panned, zoomed
from llmtop.ui.window import axis_of, next_axis, window_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtop.ui.panels.base import Scene

    Action = Callable[[Scene, Sequence[str]], View]

CURSOR_STEPS = 100
"""One arrow key moves the cursor by a hundredth of the window."""


def zoom(scene: Scene, factor: float, at: float = 1.0) -> View:
    """Zoom around share `at` of the window; around the cursor where it is on."""
    shown = scene.stage
    if shown is None:
        return scene.view
    axis = axis_of(scene.view, shown)
    start, stop = window_of(scene.view, shown)
    if scene.view.cursor is not None and stop > start:
        at = min(max((scene.view.cursor - start) / (stop - start), 0.0), 1.0)
    return zoomed(scene.view, shown.extent(axis), axis, factor, at)


def pan(scene: Scene, share: float) -> View:
    """Move the window, or the cursor where it is on."""
    shown = scene.stage
    if shown is None:
        return scene.view
    cursor = scene.view.cursor
    if cursor is None:
        return panned(scene.view, shown.extent(axis_of(scene.view, shown)), share)
    start, stop = window_of(scene.view, shown)
    step = (stop - start) / CURSOR_STEPS * (1 if share > 0 else -1)
    return replace(scene.view, cursor=min(max(cursor + step, start), stop))


def move(scene: Scene, by: int) -> View:
    """Select the next run of the list."""
    runs = matching(scene.store, scene.view)
    if not runs:
        return scene.view
    chosen = selected(scene.store, scene.view)
    at = next((i for i, run in enumerate(runs) if run is chosen), 0)
    target = runs[min(max(at + by, 0), len(runs) - 1)]
    if chosen is target:
        return scene.view
    return choose(scene.view, target.id)


def focus(scene: Scene, order: Sequence[str], by: int) -> View:
    """Focus the next panel."""
    if not order:
        return scene.view
    if scene.view.focus not in order:
        return replace(scene.view, focus=order[0 if by > 0 else -1])
    return replace(scene.view, focus=order[(order.index(scene.view.focus) + by) % len(order)])


def toggle_cursor(scene: Scene) -> View:
    """Switch the crosshair on at the newest data, or off."""
    if scene.stage is None or scene.view.cursor is not None:
        return replace(scene.view, cursor=None)
    return replace(scene.view, cursor=window_of(scene.view, scene.stage)[1])


def axis(scene: Scene) -> View:
    """Go to the next x axis; a window on the old one means nothing on the new."""
    if scene.shown is None:
        return scene.view
    after = next_axis(axis_of(scene.view, scene.shown))
    fresh = replace(scene.view, axis=after, window=None, span=None, cursor=None, hover=None)
    return replace(fresh, axis=axis_of(fresh, scene.shown))


def pause(scene: Scene) -> View:
    """Freeze the window where it stands, or go on from the newest data."""
    if scene.view.paused_at is not None:
        return replace(scene.view, paused_at=None, window=None)
    if scene.stage is None:
        return replace(scene.view, paused_at=scene.now)
    window = window_of(scene.view, scene.stage)
    return replace(scene.view, paused_at=scene.now, window=window)


def smooth(scene: Scene) -> View:
    """Go to the next smoothing."""
    at = SMOOTHING.index(scene.view.smoothing)
    return replace(scene.view, smoothing=SMOOTHING[(at + 1) % len(SMOOTHING)])


def log(scene: Scene, order: Sequence[str]) -> View:
    """Switch the y axis of the panel in focus (the first where none is) between linear and log."""
    key = scene.view.focus if scene.view.focus in order else next(
        (name for name in order if name not in ("runs", "events")), "")
    return replace(scene.view, log=scene.view.log ^ {key}) if key else scene.view


def back(view: View) -> View:
    """Undo the innermost thing: full screen, cursor, rank, filter, zoom, pause, screen, focus."""
    if view.maximised:
        return replace(view, maximised=False)
    if view.cursor is not None:
        return replace(view, cursor=None)
    if view.rank is not None:
        return replace(view, rank=None)
    if view.filter:
        return replace(view, filter="")
    if view.window is not None or view.span is not None:
        return replace(view, window=None, span=None, paused_at=None)
    if view.screen != "overview":
        return replace(view, screen="overview", hover=None)
    return replace(view, focus="", paused_at=None)


def opened(view: View, order: Sequence[str]) -> View:
    """Make the panel in focus full screen; on the list, open the run's own screen."""
    if view.maximised:
        return replace(view, maximised=False)
    charts = [key for key in order if key not in ("runs", "events")]
    if view.focus in charts:
        return replace(view, maximised=True)
    if view.focus == "runs":
        return replace(view, screen="train")
    return replace(view, focus=charts[0], maximised=True) if charts else view


TABLE: dict[str, Action] = {
    "pause": lambda scene, order: pause(scene),
    "left": lambda scene, order: pan(scene, -PAN),
    "right": lambda scene, order: pan(scene, PAN),
    "zoom_in": lambda scene, order: zoom(scene, 1 / ZOOM),
    "zoom_out": lambda scene, order: zoom(scene, ZOOM),
    "follow": lambda scene, order: replace(scene.view, window=None, span=None, cursor=None,
                                           paused_at=None),
    "cursor": lambda scene, order: toggle_cursor(scene),
    "axis": lambda scene, order: axis(scene),
    "smooth": lambda scene, order: smooth(scene),
    "log": log,
    "up": lambda scene, order: move(scene, -1),
    "down": lambda scene, order: move(scene, 1),
    "outlier": lambda scene, order: drill.outlier(scene),
    "previous_rank": lambda scene, order: drill.neighbour(scene, -1),
    "next_rank": lambda scene, order: drill.neighbour(scene, 1),
    "previous_host": lambda scene, order: drill.host(scene, -1),
    "next_host": lambda scene, order: drill.host(scene, 1),
    "open": lambda scene, order: opened(scene.view, order),
    "back": lambda scene, order: back(scene.view),
    "next_panel": lambda scene, order: focus(scene, order, 1),
    "previous_panel": lambda scene, order: focus(scene, order, -1),
}
"""Action name -> what it makes of the view; the key table names the same actions."""


