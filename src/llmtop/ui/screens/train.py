"""Screen 2: all metrics of the selected run as a grid, grouped by prefix."""

from __future__ import annotations

from llmtop.ui.board import Placed
from llmtop.ui.layout import Box, grid
from llmtop.ui.panels import chart, ranks, values, waiting, welcome
from llmtop.ui.panels.base import Scene
from llmtop.ui.specs import specs


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the panels of the screen; the lines that hold the focus are the ones in sight."""
    width, height = size
    run, shown = scene.run, scene.shown
    if run is None or shown is None:
        return [Placed(welcome.CONTENT, Box(0, 0, width, height))]
    charts = specs(shown, scene.view.filter)
    at = next((i for i, spec in enumerate(charts) if spec.key == scene.view.focus), 0)
    if scene.view.maximised and charts:
        return [Placed(chart.content(charts[at]), Box(0, 0, width, height))]
    top: list[Placed] = []
    if ranks.has_ranks(run):
        top = [Placed(ranks.CONTENT, Box(0, 0, width, ranks.lines(scene, width, height)))]
    y = top[0].box.height if top else 0
    area = Box(0, y, width, height - y)
    if values.is_table(shown):
        return [*top, Placed(values.CONTENT, area)]
    boxes = grid(area, len(charts))
    if not boxes:
        return [*top, Placed(waiting.CONTENT, area)]
    scroll = _scroll(boxes, at, area)
    placed = [Placed(chart.content(spec), Box(b.x, b.y - scroll, b.width, b.height))
              for spec, b in zip(charts, boxes, strict=True)]
    return top + placed


def _scroll(boxes: list[Box], at: int, area: Box) -> int:
    """Return how many lines the grid moves up, by whole rows, so that box `at` is in sight."""
    box = boxes[at]
    tops = sorted({other.y - area.y for other in boxes})
    return next(top for top in tops if box.y + box.height - top <= area.y + area.height
                or top == box.y - area.y)
