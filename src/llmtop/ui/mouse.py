"""The mouse: clicks select, the wheel zooms, a drag pans, hovering shows the value.

Like a key action, each turns the present view into the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from llmtop.ui.actions import move as moved
from llmtop.ui.actions import zoom
from llmtop.ui.view import ZOOM, View, panned
from llmtop.ui.window import axis_of, window_of

if TYPE_CHECKING:
    from llmtop.ui.panels.base import Panel, Scene


class Mouse:
    """What the mouse does on panels."""

    def __init__(self, scene: Callable[[], Scene | None], look: Callable[[View], None]) -> None:
        """Take the functions that tell what is looked at and that change it."""
        self._scene, self._look = scene, look
        self._dragged: tuple[float, View] | None = None

    def press(self, panel: Panel, x: int, y: int) -> None:
        """Focus a panel, or pick a row of a list; remember where a drag would begin."""
        scene = self._scene()
        if scene is None:
            return
        content, view = panel.content, scene.view
        if content.focusable:
            view = replace(view, focus=panel.key)
        if content.pick is not None:
            picked = content.pick(replace(scene, view=view), panel.cells, x, y)
            view = picked if picked is not None else view
        self._look(view)
        at = self._x(panel, scene, x)
        self._dragged = None if at is None else (at, view)

    def release(self) -> None:
        """End a drag."""
        self._dragged = None

    def move(self, panel: Panel, x: int, held: bool) -> None:
        """Pan so that what was under the mouse stays under it; else show the value there."""
        scene = self._scene()
        if scene is None:
            return
        if held and self._dragged is not None and scene.stage is not None:
            start, view = self._dragged
            before = replace(scene, view=view)
            at = self._x(panel, before, x)
            if at is not None:
                low, high = window_of(view, scene.stage)
                share = (start - at) / (high - low)
                extent = scene.stage.extent(axis_of(view, scene.stage))
                self._look(panned(replace(view, hover=None), extent, share))
            return
        self._look(replace(scene.view, hover=self._x(panel, scene, x)))

    def leave(self) -> None:
        """Take the crosshair away."""
        scene = self._scene()
        if scene is not None and scene.view.hover is not None:
            self._look(replace(scene.view, hover=None))

    def wheel(self, panel: Panel, x: int, by: int) -> None:
        """Zoom around the mouse on a chart, move through a list elsewhere."""
        scene = self._scene()
        if scene is None:
            return
        at = self._x(panel, scene, x)
        if at is None or scene.stage is None:
            self._look(moved(scene, by))
            return
        low, high = window_of(scene.view, scene.stage)
        share = min(max((at - low) / (high - low), 0.0), 1.0) if high > low else 1.0
        self._look(zoom(scene, ZOOM if by > 0 else 1 / ZOOM, share))

    def _x(self, panel: Panel, scene: Scene, x: int) -> float | None:
        found = panel.content.x_at
        return None if found is None else found(scene, panel.cells, x)

