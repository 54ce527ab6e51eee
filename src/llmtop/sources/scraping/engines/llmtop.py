"""llmtop's own page (`llmtop serve --prometheus`), read back: the vocabulary under its own names.

What runs logged besides is on the page too, for `--metric`.
"""

from __future__ import annotations

from llmtop.metrics import METRICS, Metric
from llmtop.prometheus import NAMESPACE, expose
from llmtop.sources.scraping.engines.base import Engine, Rule

LLMTOP = "llmtop"
HOST_PANELS = ("gpu_", "host_")
ADDED_UP = ("tokens/s", "samples/s")
"""Units of gauges that ranks have a share of; of any other, their mean is shown."""


def _rules(phase: str) -> tuple[Rule, ...]:
    return tuple(_rule(metric, phase) for metric in METRICS)


def _rule(metric: Metric, phase: str, stem: str = "", by: str = "") -> Rule:
    known = expose(metric.name, metric.unit)
    name = known.family.removeprefix(NAMESPACE)
    kind = "histogram" if metric.kind == "distribution" else metric.kind
    summed = metric.unit in ADDED_UP or metric.panel == "queue"
    where = f"{{phase={phase}}}" if phase else ""
    return Rule(
        stem + metric.name, kind, (name + where,), 1 / known.factor,
        "sum" if summed else "mean", by=by,
    )


_HOST = tuple(
    _rule(metric, "", "gpu*/", "gpu") if metric.panel.startswith("gpu_") else _rule(metric, "")
    for metric in METRICS if metric.panel.startswith(HOST_PANELS)
)
LLMTOP_TRAIN = Engine(
    LLMTOP, (NAMESPACE,), _rules("train|eval"), "run", titled=True, phase="train"
)
LLMTOP_SERVE = Engine(LLMTOP, (NAMESPACE,), _rules("serve"), "run", titled=True)
LLMTOP_HOST = Engine(LLMTOP, (NAMESPACE,), _HOST, "host", titled=True, phase="host")
