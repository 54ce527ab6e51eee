"""From the series of a run to the charts worth drawing, in the order people look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmtop.metrics import fold, group

if TYPE_CHECKING:
    from llmtop.store import Series
    from llmtop.ui.shown import Shown

ORDER = (
    "loss", "accuracy", "ttft", "throughput", "grad_norm", "itl", "e2e", "generation", "queue",
    "kv_cache", "requests", "step_time", "perplexity", "bits_per_byte", "reward", "kl", "score",
    "mfu", "memory", "tpot", "queue_time", "learning_rate",
)
"""Panels of the vocabulary by how soon they are looked at; others follow, unknown names last."""
FILLED = frozenset({"throughput", "generation", "prompt", "memory", "kv_cache", "samples",
                    "throughput_gpu", "mfu"})
"""Panels whose area below the line means something: amounts, not positions."""
HIDDEN = frozenset({"dropped", "ratio_parts", "energy"})
"""Panels that are told elsewhere: the footer counts what was dropped, ratios have panels, energy
stands in the title of the GPUs."""


@dataclass(frozen=True)
class ChartSpec:
    """One chart: its series names, in drawing order."""

    key: str
    title: str
    unit: str
    kind: str
    names: tuple[str, ...]
    better: str = ""
    filled: bool = False
    group: str = ""


def specs(shown: Shown, text: str = "") -> list[ChartSpec]:
    """Return the run's charts, most looked-at first; a filter keeps those whose name has it."""
    if text not in shown.charts:
        shown.charts[text] = _specs(shown, text)
    return shown.charts[text]


def _specs(shown: Shown, text: str) -> list[ChartSpec]:
    panels: dict[str, list[Series]] = {}
    for series in shown.series:
        panel = series.metric.panel if series.metric else f"name:{_folded(series.name)}"
        if panel not in HIDDEN:
            panels.setdefault(panel, []).append(series)
    rank = {name: place for place, name in enumerate(ORDER)}
    found = [_spec(panel, members) for panel, members in panels.items()]
    found.sort(key=lambda s: (rank.get(s.key, len(ORDER) + s.key.startswith("name:")),
                              s.group, s.title))
    needle = text.lower()
    if needle and needle not in shown.run.name.lower():
        found = [s for s in found
                 if needle in s.title or any(needle in name.lower() for name in s.names)]
    return found


def _spec(panel: str, members: list[Series]) -> ChartSpec:
    names: dict[str, Series] = {}
    for series in sorted(members, key=_prominence):
        names.setdefault(series.name, series)
    first = next(iter(names.values()))
    metric = first.metric
    return ChartSpec(
        key=panel,
        title=_title(panel, names),
        unit=first.quantity,
        # Ranks are compared by their means; percentiles of one of them would be of nobody else.
        kind="gauge" if first.kind == "distribution" and len(members) > len(names) else first.kind,
        names=tuple(names),
        better=first.better or (metric.better if metric else ""),
        filled=panel in FILLED,
        group=group(first.name),
    )


def _folded(name: str) -> str:
    """Return a name without case and punctuation, as far as there is anything else in it."""
    return fold(name) if name.isascii() and fold(name) else name.casefold()


def _title(panel: str, names: dict[str, Series]) -> str:
    """Return the metric's title, or the panel's name where metrics share it."""
    metrics = {series.metric for series in names.values() if series.metric}
    if not metrics:
        return next(iter(names))
    return panel.replace("_", " ") if len(metrics) > 1 else metrics.pop().title


def _prominence(series: Series) -> tuple[bool, bool, str]:
    """Sort training before evaluation, logged before derived, then by name."""
    return is_eval(series), series.derived, series.name


def is_eval(series: Series) -> bool:
    """Return whether a series is of evaluations: few points, drawn as points."""
    if series.metric is not None and series.metric.name.startswith("eval_"):
        return True
    return group(series.name).lower() in {"eval", "val", "valid", "validation", "test"}
