"""Screen 4: every device, who uses it, the host, and how they did over time.

All charts share one time axis, those of the run that is selected too: its loss and throughput
stand beside the power and memory of the machine it runs on, under one cursor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from llmtop.rules.machine import keys_of, process_rows
from llmtop.ui.board import Placed
from llmtop.ui.layout import MIN_HEIGHT, MIN_WIDTH, Box
from llmtop.ui.panels import chart, history, host, process_list
from llmtop.ui.panels import devices as device_panel
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.specs import ChartSpec, specs

RUN_PANELS = ("loss", "throughput")
"""What of a run is drawn beside the devices it uses."""
LEAST_PROCESSES = 4
CHARTS_FROM = 9
"""Rows that must be left for charts to be drawn at all."""
MOST_ACROSS = 4
SIDE_FROM = 110
"""Cells from which processes and host stand side by side."""
SEVERAL_LINES, ONE_LINE = 0.35, 0.6
"""Share of the screen that devices may take: more lines each must leave room for framed charts."""
HOST_ROWS = 10
"""What the host has to say, and its border."""

T = TypeVar("T")


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the panels of the screen."""
    width, height = size
    run = scene.host
    charts = _charts(scene)
    if scene.view.maximised:
        large = {one.key: one for one in (*charts, device_panel.CONTENT, process_list.CONTENT,
                                          host.CONTENT)}
        if scene.view.focus in large:
            return [Placed(large[scene.view.focus], Box(0, 0, width, height))]
    top = _device_rows(len(scene.devices), height)
    placed = [Placed(device_panel.CONTENT, Box(0, 0, width, top))]
    left = height - top
    foot = _foot_rows(left, 0 if run is None else len(process_rows(run)))
    middle = left - foot
    if middle >= MIN_HEIGHT and charts:
        area = Box(0, top, width, middle)
        counts = _counts(len(charts), (width, middle))
        boxes = _boxes(area, counts)
        placed += [Placed(one, box) for one, box in zip(charts, boxes, strict=False)]
    else:
        foot = left
    return placed + _foot(Box(0, height - foot, width, foot))


def _device_rows(count: int, height: int) -> int:
    """Return the rows of the devices' panel: as many lines each as leave room for the rest."""
    if not count:
        return 3
    for lines in (3, 2, 1):
        rows = count * lines + 3
        if rows <= height * (SEVERAL_LINES if lines > 1 else ONE_LINE):
            return rows
    return height if height - count < LEAST_PROCESSES else count + 2


def _foot_rows(left: int, processes: int) -> int:
    """Return the rows of processes and host; all that is left where charts have no room."""
    wanted = max(HOST_ROWS, min(processes + 3, left * 2 // 5))
    return left if left < wanted + CHARTS_FROM else wanted


def _counts(charts: int, size: tuple[int, int]) -> list[int]:
    """Return how many charts stand in each row: alike, so that their times stand in line."""
    width, height = size
    across = max(1, min(MOST_ACROSS, width // MIN_WIDTH))
    rows = max(1, min(-(-charts // across), height // (MIN_HEIGHT + 2)))
    across = min(across, -(-charts // rows))
    full, rest = divmod(charts, across)
    return [*[across] * full, *([rest] if rest else [])][:rows]


def _boxes(area: Box, counts: list[int]) -> list[Box]:
    """Return equal regions, row by row."""
    rows = [area.y + area.height * row // len(counts) for row in range(len(counts) + 1)]
    return [
        Box(area.x + area.width * at // across, top, area.width * (at + 1) // across
            - area.width * at // across, bottom - top)
        for across, top, bottom in zip(counts, rows, rows[1:], strict=False)
        for at in range(across)
    ]  # fmt: skip


def _foot(area: Box) -> list[Placed]:
    """Return processes and host: side by side where that is wide, else one above the other."""
    if area.height < 2:
        return []
    if area.width >= SIDE_FROM:
        first = area.width * 62 // 100
        return [
            Placed(process_list.CONTENT, Box(area.x, area.y, first, area.height)),
            Placed(host.CONTENT, Box(area.x + first, area.y, area.width - first, area.height)),
        ]
    if area.height < LEAST_PROCESSES + 4:
        return [Placed(process_list.CONTENT, area)]
    first = max(LEAST_PROCESSES, area.height // 2)
    return [
        Placed(process_list.CONTENT, Box(area.x, area.y, area.width, first)),
        Placed(host.CONTENT, Box(area.x, area.y + first, area.width, area.height - first)),
    ]


def _charts(scene: Scene) -> list[Content]:
    """Return the histories, most looked-at first, and the run's where it is on this machine."""
    run = scene.host
    if run is None:
        return []
    mine: list[Content] = []
    if scene.run is not None and scene.shown is not None and keys_of(
        scene.store, run, scene.run
    ):
        found = {spec.key: spec for spec in specs(scene.shown)}
        mine = [_over_time(found[key]) for key in RUN_PANELS if key in found]
    of_devices = [history.content(spec) for spec in history.DEVICE_SPECS] if scene.devices else []
    of_host = [history.content(spec) for spec in history.HOST_SPECS]
    return [*of_devices, *mine, *of_host] if of_devices else [*of_host, *mine]


def _over_time(spec: ChartSpec) -> Content:
    """Return a chart of the run over the machine's window of time."""
    content = chart.content(spec)

    def within(scene: Scene) -> Scene:
        view = replace(scene.view, axis="time", window=history.window(scene), span=None)
        return replace(scene, view=view)

    def moved(function: Callable[..., T], scene: Scene, size: Size, *rest: int) -> T:
        return function(within(scene), size, *rest)

    def also(function: Callable[..., T] | None) -> Callable[..., T] | None:
        return None if function is None else partial(moved, function)

    return replace(
        content, frame=partial(moved, content.frame), signature=partial(moved, content.signature),
        head=also(content.head), pulse=also(content.pulse), x_at=also(content.x_at),
    )  # fmt: skip
