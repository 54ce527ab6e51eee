"""What a page tells of its server besides numbers: model, version, configuration, what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache

from llmtop.sources.introduce import clean_text
from llmtop.sources.scraping.engines import Engine, Rule
from llmtop.sources.scraping.exposition import Sample
from llmtop.sources.scraping.plan import Names, Plan

INFO = "_info"
MAX_FACTS = 24
"""Labels of a server's configuration kept; vLLM's cache_config_info has about twenty."""
MAX_FACT = 64
"""Characters of one of them."""
MAX_MODELS = 3
"""Models named; of more, their number is told."""
NEAR = 0.6
"""Likeness from which another name on the page is worth naming (difflib's ratio)."""
BUILDS = ("python", "process")
"""Families that describe the interpreter, not the server."""


def models(engine: Engine, samples: Sequence[Sample]) -> list[str]:
    """Return the models that an engine's samples name, in order of first sight."""
    found: dict[str, None] = {}
    for sample in samples:
        for label in engine.model_labels:
            if value := sample.labels.get(label):
                found.setdefault(clean_text(value, MAX_FACT))
                break
    return list(found)


def short_model(names: Sequence[str]) -> str:
    """Return one model's name without its owner; "" for none or several."""
    return names[0].rstrip("/").rpartition("/")[2] if len(names) == 1 else ""


def told_models(names: Sequence[str]) -> str:
    """Return the models in a line."""
    more = len(names) - MAX_MODELS
    return ", ".join(names[:MAX_MODELS]) + (f" and {more} more" if more > 0 else "")


def configuration(plan: Plan, samples: Sequence[Sample]) -> dict[str, str]:
    """Return the labels of the engine's info samples."""
    names = Names(plan.engine, samples)
    found: dict[str, str] = {}
    for name, places in names.places.items():
        if not name.endswith(INFO):
            continue
        for label, value in samples[places[0]].labels.items():
            if label in plan.engine.model_labels or len(found) >= MAX_FACTS or not value:
                continue
            found.setdefault(label[:MAX_FACT], clean_text(value, MAX_FACT))
    return found


def version(samples: Sequence[Sample], settings: dict[str, str]) -> str:
    """Return the server's version where some info sample tells it."""
    if "version" in settings:
        return settings["version"]
    for sample in samples:
        if sample.name.endswith("build_info") and not sample.name.startswith(BUILDS):
            return clean_text(sample.labels.get("version", ""), MAX_FACT)
    return ""


def lacking(plan: Plan, samples: Sequence[Sample]) -> dict[str, str]:
    """Return metric -> why it is not there: the engine's own reason, or the nearest name."""
    names = Names(plan.engine, samples)
    have = frozenset(
        name.removesuffix("_bucket") for name in names.places
        if not name.endswith(("_sum", "_count", "_created", INFO))
    )
    return {
        rule.metric: plan.engine.lacks.get(rule.metric) or _not_found(rule, have)
        for rule in plan.missing
    } | {metric: why for metric, why in plan.engine.lacks.items() if metric not in _has(plan)}


def _has(plan: Plan) -> set[str]:
    return {
        *(slot.name for slot in plan.gauges), *(slot.name for slot in plan.counters),
        *(slot.name for slot in plan.histograms),
    }  # fmt: skip


def _not_found(rule: Rule, have: frozenset[str]) -> str:
    wanted = rule.choices[0][0].name
    near = nearest_name(wanted, have)
    return f"{wanted} not found" + (f", nearest is {near}" if near else "")


@lru_cache(maxsize=4096)
def nearest_name(wanted: str, have: frozenset[str]) -> str:
    """Return the name most like the wanted one, "" where none is; a fleet asks the same often."""
    found = get_close_matches(wanted, have, n=1, cutoff=NEAR)
    return found[0] if found else ""
