"""Screen 1: every run in a list, and the selected one drawn large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtop.ui.board import Placed
from llmtop.ui.layout import BOX_HEIGHT, Box, capacity, row_counts, tile
from llmtop.ui.panels import (
    alerts,
    chart,
    devices,
    events,
    log,
    ranks,
    runs,
    values,
    waiting,
    welcome,
)
from llmtop.ui.panels.base import Scene
from llmtop.ui.select import matching
from llmtop.ui.specs import specs

if TYPE_CHECKING:
    from llmtop.store import Run

LIST_SHARE = 4
"""The list of runs takes at most a quarter of the height."""
MOST_CHARTS = 9
"""The Overview is read at a glance; the run's own screen has the rest."""
FEW_CHARTS = 5
"""Where fewer have room for a border, more without one tell more."""
PRINTED = ("pipe", "command")
"""Sources whose output llmtop has taken off the terminal, and so owes to the reader."""
LOG_FROM = 18
LOG_HEIGHT = 5
GPUS_FROM = 16
"""Rows from which a line about the GPUs takes none from the charts that is missed."""
MOST_GPU_ROWS = 11
"""Eight devices, their heading and a border."""
RANKS_FROM = 30
"""Terminals of at least this many lines have room for a run's ranks, in half of what the run's own
screen gives them."""
EVENTS_HEIGHT = 6
EVENTS_FROM = 36
"""Terminals of at least this many lines have room for the events."""


def run_list(scene: Scene, width: int, height: int) -> list[Placed]:
    """Return the list of runs at the top, or nothing when one run needs no list."""
    count = len(matching(scene.store, scene.view))
    if count < 2 or height < 14:
        return []
    compact = height < 30
    lines = min(count + (2 if compact else 3), max(6 if compact else 7, height // LIST_SHARE))
    return [Placed(runs.CONTENT, Box(0, 0, width, lines))]


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the panels of the screen."""
    width, height = size
    if scene.shown is None:
        gpus = _gpus(scene, width, height)
        rest = height - (gpus[0].box.height if gpus else 0)
        return [Placed(welcome.CONTENT, Box(0, 0, width, rest)), *gpus]
    charts = specs(scene.shown, scene.view.filter)
    if scene.view.maximised:
        chosen = next((spec for spec in charts if spec.key == scene.view.focus), None)
        if chosen is not None:
            return [Placed(chart.content(chosen), Box(0, 0, width, height))]
    top = run_list(scene, width, height)
    y = top[0].box.height if top else 0
    if ranks.has_ranks(scene.run) and height >= RANKS_FROM:
        lines = ranks.lines(scene, width, height // 2)
        top.append(Placed(ranks.CONTENT, Box(0, y, width, lines)))
        y += lines
    below = _below(scene, scene.shown.run, width, height)
    taken = below[0].box.height if below else 0
    gpus = _gpus(scene, width, height - taken)
    taken += gpus[0].box.height if gpus else 0
    below = [*gpus, *below]
    area = Box(0, y, width, height - y - taken)
    if values.is_table(scene.shown):
        return [*top, Placed(values.CONTENT, area), *below]
    shown = charts[: _most((area.width, area.height))]
    if not shown and scene.shown.run.log:
        return [*top, Placed(log.CONTENT, Box(0, y, width, height - y))]
    if not shown:
        return [*top, Placed(waiting.CONTENT, area), *below]
    boxes = tile(area, row_counts(len(shown), (area.width, area.height)))
    placed = [Placed(chart.content(s), box) for s, box in zip(shown, boxes, strict=False)]
    return [*top, *placed, *below]


def _gpus(scene: Scene, width: int, bottom: int) -> list[Placed]:
    """Return the GPUs above `bottom`: a line each where there is much room, else one of all."""
    if not scene.devices or bottom < GPUS_FROM:
        return []
    rows = len(scene.devices) + 3
    if rows > min(MOST_GPU_ROWS, bottom // 3):
        return [Placed(devices.STRIP, Box(0, bottom - 1, width, 1))]
    return [Placed(devices.CONTENT, Box(0, bottom - rows, width, rows))]


def _most(size: tuple[int, int]) -> int:
    """Return how many charts to draw: rather some with a border than many without."""
    boxed = capacity(size, BOX_HEIGHT)
    return min(MOST_CHARTS, boxed if boxed >= FEW_CHARTS else capacity(size))


def _below(scene: Scene, run: Run, width: int, height: int) -> list[Placed]:
    """Return what stands below the charts: events, alerts and output, side by side."""
    if height < EVENTS_FROM:
        if height < LOG_FROM or run.source not in PRINTED or not run.log:
            return []
        return [Placed(log.CONTENT, Box(0, height - LOG_HEIGHT, width, LOG_HEIGHT))]
    known = ((events.CONTENT, run.events), (alerts.STRIP, [*scene.alerts, *scene.past]),
             (log.CONTENT, run.log))
    contents = [content for content, some in known if some]
    edges = [width * i // max(len(contents), 1) for i in range(len(contents) + 1)]
    y = height - EVENTS_HEIGHT
    return [Placed(content, Box(x, y, stop - x, EVENTS_HEIGHT))
            for content, x, stop in zip(contents, edges, edges[1:], strict=False)]
