"""Screen 2: all metrics of the selected run as a grid, grouped by prefix."""

from __future__ import annotations

from llmtop.ui.board import Placed
from llmtop.ui.layout import Box, grid
from llmtop.ui.panels import ranks, welcome
from llmtop.ui.panels.base import Scene
from llmtop.ui.screens.overview import chart_panel
from llmtop.ui.specs import specs

RANK_LINES = 2


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the panels of the screen; the lines that hold the focus are the ones in sight."""
    width, height = size
    run = scene.run
    if run is None:
        return [Placed(welcome.KEY, welcome.frame, welcome.signature, Box(0, 0, width, height),
                       focusable=False)]
    charts = specs(run, scene.view.filter)
    at = next((i for i, spec in enumerate(charts) if spec.key == scene.view.focus), 0)
    if scene.view.maximised and charts:
        return [chart_panel(charts[at], Box(0, 0, width, height))]
    top: list[Placed] = []
    if (run.world_size or 1) > 1:
        top = [Placed(ranks.KEY, ranks.frame, ranks.signature, Box(0, 0, width, RANK_LINES),
                      focusable=False)]
    area = Box(0, RANK_LINES if top else 0, width, height - (RANK_LINES if top else 0))
    boxes = grid(area, len(charts))
    if not boxes:
        return top
    scroll = _scroll(boxes, at, area)
    placed = [chart_panel(spec, Box(b.x, b.y - scroll, b.width, b.height))
              for spec, b in zip(charts, boxes, strict=True)]
    return top + placed


def _scroll(boxes: list[Box], at: int, area: Box) -> int:
    """Return how many lines the grid moves up so that box `at` is in sight."""
    box = boxes[at]
    over = box.y + box.height - (area.y + area.height)
    return -(-over // box.height) * box.height if over > 0 else 0
