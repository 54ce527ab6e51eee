"""A panel for which there is nothing: why, and what would fill it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row

if TYPE_CHECKING:
    from llmtop.store import Run as StoreRun

FILLS = {
    "ttft_seconds": "run.request() measures it, or run.observe(\"ttft_seconds\", t)",
    "itl_seconds": "run.request() measures it with each token()",
    "tpot_seconds": "run.request() measures it",
    "e2e_seconds": "run.request() measures it, or run.observe(\"e2e_seconds\", t)",
    "generated_tokens": "run.count(\"generated_tokens\", n) counts them",
    "requests": "run.count(\"requests\") counts them",
    "requests_running": "run.log({\"requests_running\": n}) tells it",
    "kv_cache_usage": "run.log({\"kv_cache_usage\": share}) tells it",
    "prefix_cache_hit_rate": "run.log({\"prefix_cache_hit_rate\": share}) tells it",
}  # fmt: skip
"""Metric -> how a server of one's own fills its panel."""


def content(key: str, title: str, metric: str) -> Content:
    """Return the panel of a metric that the selected run does not tell."""
    return Content(key, partial(frame, title, metric), partial(signature, metric))


def signature(metric: str, scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    return None if scene.run is None else (scene.run.id, why(scene, metric))


def frame(title: str, metric: str, scene: Scene, size: Size) -> list[Row]:
    """Return the reason in its frame."""
    columns, _ = inner(size)
    body: list[Row] = [((line, "dim"),) for line in wrap(why(scene, metric), max(columns, 1))]
    return framed(title, (), body, size)


def why(scene: Scene, metric: str) -> str:
    """Return why a metric is not there: the page's reason, else what is to be called."""
    run = scene.run
    if run is None:
        return ""
    if metric in (reasons := missing(run)):
        return reasons[metric]
    if run.source == "scrape":
        return "nothing observed since llmtop looks"
    return FILLS.get(metric, "nothing of it yet")


def missing(run: StoreRun) -> dict[str, str]:
    """Return metric -> why a run's page does not tell it."""
    found = run.tags.get("missing")
    return {name: str(why) for name, why in found.items()} if isinstance(found, Mapping) else {}
