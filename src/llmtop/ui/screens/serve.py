"""Screen 3: one server: its latencies against what it promised, its load, what limits it."""

from __future__ import annotations

from typing import NamedTuple

from llmtop.ui.board import Placed
from llmtop.ui.layout import BOX_HEIGHT, Box
from llmtop.ui.panels import absent, chart, heatmap, server, unserved
from llmtop.ui.panels.base import Content, Scene
from llmtop.ui.screens.overview import run_list
from llmtop.ui.shown import Shown
from llmtop.ui.specs import ChartSpec


class Wanted(NamedTuple):
    """One chart of the screen."""

    title: str
    names: tuple[str, ...]
    """Canonical metrics, in drawing order; drawn are those that are there."""
    kind: str
    unit: str
    better: str = ""
    filled: bool = False
    instead: tuple[str, str] = ("", "")
    """Title and gauge that stand in for it: a mean where there is no distribution."""


CHARTS: dict[str, Wanted] = {
    "ttft": Wanted("ttft", ("ttft_seconds",), "distribution", "seconds", "down"),
    "itl": Wanted("itl", ("itl_seconds",), "distribution", "seconds", "down",
                  instead=("mean itl", "itl_mean_seconds")),
    "tpot": Wanted("tpot", ("tpot_seconds",), "distribution", "seconds", "down"),
    "e2e": Wanted("e2e", ("e2e_seconds",), "distribution", "seconds", "down",
                  instead=("mean e2e", "e2e_mean_seconds")),
    "queue_time": Wanted("queue time", ("queue_seconds",), "distribution", "seconds", "down",
                         instead=("mean queue time", "queue_mean_seconds")),
    "tokens": Wanted("tokens", ("generated_tokens", "prompt_tokens"), "counter", "tokens", "up"),
    "requests": Wanted("requests", ("requests", "errors", "cancelled"), "counter", "requests"),
    "queue": Wanted("requests at once", ("requests_running", "requests_waiting"), "gauge", ""),
    "kv_cache": Wanted("kv-cache usage", ("kv_cache_usage",), "gauge", "fraction", filled=True),
    "prefix": Wanted("prefix-cache hit rate", ("prefix_cache_hits", "prefix_cache_queries"),
                     "ratio", "fraction", "up", instead=("prefix-cache hit rate",
                                                         "prefix_cache_hit_rate")),
    "speculation": Wanted("accepted drafts", ("spec_decode_accepted_tokens",
                                              "spec_decode_draft_tokens"), "ratio", "fraction",
                          "up", instead=("accepted drafts", "spec_decode_acceptance")),
    "preemptions": Wanted("preemptions", ("preemptions",), "counter", "", "down"),
}
"""Panel -> what it draws."""
OPTIONAL = frozenset({"speculation", "preemptions", "prefix", "queue_time"})
"""Panels that are left out where there is nothing: not every server has such a thing."""
SWAPPED = {"kv_cache": "queue", "queue": "kv_cache"}
"""Without a KV cache its place, in sight on a small terminal, is that of the requests at once."""
HEAT = heatmap.KEY
ROWS: tuple[tuple[int, tuple[tuple[str, ...], ...]], ...] = (
    (140, (("ttft", "itl", "e2e"), (HEAT, "tokens"), ("requests", "queue", "kv_cache", "tpot"),
           ("queue_time", "prefix", "speculation", "preemptions"))),
    (105, (("ttft", "itl", "e2e"), (HEAT, "tokens"), ("requests", "queue", "kv_cache"),
           ("tpot", "queue_time", "prefix"), ("speculation", "preemptions"))),
    (0, (("ttft", "itl"), ("tokens", "kv_cache"), (HEAT,), ("e2e", "queue"),
         ("requests", "tpot"), ("queue_time", "prefix"), ("speculation", "preemptions"))),
)
"""From so many cells on, the panels row by row, most wanted first."""
LEAST_ROW = BOX_HEIGHT
"""Lines of the lowest row of charts: each has its border."""
LEAD = 0.62
"""Part of its row that the heat map takes."""
STRIP, SMALL_STRIP = 5, 3
STRIP_FROM = 28


def place(scene: Scene, size: tuple[int, int]) -> list[Placed]:
    """Return the panels of the screen; the rows that hold the focus are the ones in sight."""
    width, height = size
    shown = scene.shown
    if shown is None or not serves(shown):
        return [Placed(unserved.CONTENT, Box(0, 0, width, height))]
    swap = {} if "kv_cache_usage" in _metrics(shown) else SWAPPED
    rows = [
        [content for key in row if (content := panel(swap.get(key, key), shown)) is not None]
        for row in next(rows for cells, rows in ROWS if width >= cells)
    ]
    rows = [row for row in rows if row]
    if scene.view.maximised:
        chosen = next((one for row in rows for one in row if one.key == scene.view.focus), None)
        if chosen is not None:
            return [Placed(chosen, Box(0, 0, width, height))]
    top = run_list(scene, width, height) if height >= STRIP_FROM else []
    y = top[0].box.height if top else 0
    strip = STRIP if height >= STRIP_FROM else SMALL_STRIP
    placed = [*top, Placed(server.CONTENT, Box(0, y, width, strip))]
    area = Box(0, y + strip, width, max(0, height - y - strip))
    fitting = max(1, min(len(rows), area.height // LEAST_ROW))
    at = next((i for i, row in enumerate(rows) for one in row if one.key == scene.view.focus), 0)
    first = max(0, min(at - fitting + 1, len(rows) - fitting))
    for index, row in enumerate(rows):
        above = area.y + area.height * (index - first) // fitting
        below = area.y + area.height * (index + 1 - first) // fitting
        # Rows out of sight stand below: the keys still go through them in this order.
        if not first <= index < first + fitting:
            above, below = height, height + LEAST_ROW
        placed += _across(row, Box(0, above, width, below - above))
    return placed


def serves(shown: Shown) -> bool:
    """Tell whether a run is of a server: it says so, or it tells latencies."""
    return shown.run.phase == "serve" or "ttft_seconds" in shown.named


def panel(key: str, shown: Shown) -> Content | None:
    """Return a panel of the screen, None where it is one that need not be there."""
    if key == HEAT:
        return heatmap.CONTENT
    wanted, metrics = CHARTS[key], _metrics(shown)
    there = tuple(metrics[name] for name in wanted.names if name in metrics)
    if wanted.kind == "ratio" and (len(there) < len(wanted.names) or _idle(there[-1], shown)):
        there = ()
    if there:
        return chart.content(ChartSpec(
            key, wanted.title, wanted.unit, wanted.kind, there, wanted.better, wanted.filled,
        ))  # fmt: skip
    title, gauge = wanted.instead
    if gauge and (name := metrics.get(gauge)):
        return chart.content(ChartSpec(key, title, wanted.unit, "gauge", (name,), wanted.better))
    if key in OPTIONAL:
        return None
    return absent.content(key, wanted.title, wanted.names[0])


def _idle(name: str, shown: Shown) -> bool:
    """Tell whether a counter has stood still: what a server could do, and has not done."""
    return not any(series.sum for series in shown.named[name])


def _metrics(shown: Shown) -> dict[str, str]:
    """Return metric -> the name it is logged under."""
    found: dict[str, str] = {}
    for series in shown.series:
        found.setdefault(series.metric.name if series.metric else series.name, series.name)
    return found


def _across(row: list[Content], box: Box) -> list[Placed]:
    """Return the panels of a row side by side; the heat map is the widest."""
    wide = LEAD if row[0].key == HEAT and len(row) == 2 else 1 / len(row)
    edges = [0, *(round(box.width * wide * (i + 1)) for i in range(len(row) - 1)), box.width]
    return [
        Placed(one, Box(box.x + left, box.y, right - left, box.height))
        for one, left, right in zip(row, edges, edges[1:], strict=False)
    ]
