"""The area between header and footer: panels at the places a screen gave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from llmtop.ui.layout import Box
from llmtop.ui.panels.base import Content, Panel, Scene


class Placed(NamedTuple):
    """What a panel shows, and where it stands."""

    content: Content
    box: Box

    @property
    def key(self) -> str:
        """The content's key."""
        return self.content.key


class BoardLayout(Layout):
    """Puts every child where the board says."""

    name = "board"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        """Return one placement a child, from the board's boxes."""
        boxes = parent.boxes if isinstance(parent, Board) else {}
        return [
            WidgetPlacement(Region(*boxes[child.key]), NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if isinstance(child, Panel) and child.key in boxes
        ]


class Board(Widget):
    """Holds the panels of the present screen."""

    DEFAULT_CSS = "Board { width: 1fr; height: 1fr; overflow: hidden hidden; }"
    _layout = BoardLayout()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, Box] = {}
        self.panels: dict[str, Panel] = {}
        self.order: list[str] = []

    @property
    def layout(self) -> Layout:
        """Panels stand where `boxes` says."""
        return self._layout

    def put(self, placed: Sequence[Placed]) -> bool:
        """Mount, move and remove panels to match; return whether anything had to change.

        Those above or below the area can be focused, and are mounted when they come into sight.
        """
        self.order = [p.key for p in placed if p.content.focusable]
        height = self.size.height
        placed = [p for p in placed if p.box.y < height and p.box.y + p.box.height > 0]
        boxes = {p.key: p.box for p in placed}
        fresh = []
        for item in placed:
            panel = self.panels.get(item.key)
            if panel is None:
                panel = self.panels[item.key] = Panel(item.content)
                fresh.append(panel)
            else:
                panel.content = item.content
        gone = [self.panels.pop(key) for key in list(self.panels) if key not in boxes]
        moved = boxes != self.boxes
        self.boxes = boxes
        for panel in gone:
            panel.remove()
        if fresh:
            self.mount(*fresh)
        if moved or fresh or gone:
            self.refresh(layout=True)
            return True
        return False

    def show(self, scene: Scene, force: bool = False) -> None:
        """Let every panel draw itself if what it reads has changed."""
        for key, panel in self.panels.items():
            panel.show(scene, focused=key == scene.view.focus, force=force)
