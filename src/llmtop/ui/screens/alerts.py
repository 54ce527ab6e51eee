"""Screen 5: every alert that fires, may fire soon, or is over."""

from __future__ import annotations

from llmtop.ui.board import Placed
from llmtop.ui.layout import Box
from llmtop.ui.panels import alerts
from llmtop.ui.panels.base import Scene


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the one panel of the screen."""
    return [Placed(alerts.CONTENT, Box(0, 0, *size))]
