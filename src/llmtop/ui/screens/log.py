"""Screen 6: what the selected run printed."""

from __future__ import annotations

from llmtop.ui.board import Placed
from llmtop.ui.layout import Box
from llmtop.ui.panels import events, log, welcome
from llmtop.ui.panels.base import Scene

EVENTS_LINES = 8
EVENTS_FROM = 30
"""Terminals of at least this many lines have room for the events below the log."""


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the panels of the screen."""
    width, height = size
    if scene.run is None:
        return [Placed(welcome.CONTENT, Box(0, 0, width, height))]
    below = EVENTS_LINES if height >= EVENTS_FROM and scene.run.events else 0
    placed = [Placed(log.CONTENT, Box(0, 0, width, height - below))]
    if below:
        placed.append(Placed(events.CONTENT, Box(0, height - below, width, below)))
    return placed
