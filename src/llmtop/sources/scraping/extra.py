"""Charts of any exporter's numbers: the families whose name a pattern finds become series.

A gauge or counter is a series for each set of labels, a histogram one over all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmtop.sources.scraping.engines import Engine, Pick, Rule
from llmtop.sources.scraping.exposition import Page, Sample

MAX_SERIES = 256
"""Series that patterns make of one page: more charts than anybody pages through."""
PARTS = ("_bucket", "_sum", "_count")
SINGLE = frozenset({"gauge", "counter", "unknown", "untyped", "summary"})
"""Kinds whose samples are charted each; of a summary, its quantiles as the server says them."""


def family(sample: Sample, types: dict[str, str]) -> tuple[str, str]:
    """Return the family a sample belongs to and its kind, as declared or by its name."""
    name = sample.name
    for suffix in PARTS:
        base = name.removesuffix(suffix)
        if base != name and types.get(base) in ("histogram", "summary"):
            return base, types[base]
    if name.endswith("_bucket") and "le" in sample.labels:
        return name.removesuffix("_bucket"), "histogram"
    base = name.removesuffix("_total")
    kind = types.get(name) or types.get(base)
    return name, kind or ("counter" if name.endswith("_total") else "gauge")


def families(page: Page) -> dict[str, str]:
    """Return the families of a page and their kinds."""
    found: dict[str, str] = {}
    for sample in page.samples:
        if not sample.name.endswith("_created"):
            name, kind = family(sample, page.types)
            found.setdefault(name, kind)
    return found


def extra_engine(page: Page, pattern: re.Pattern[str]) -> Engine | None:
    """Return a table of the families that a pattern finds, None where it finds none."""
    rules: dict[str, Rule] = {}
    for sample in page.samples:
        name, kind = family(sample, page.types)
        if len(rules) >= MAX_SERIES or sample.name.endswith("_created"):
            continue
        if not pattern.search(name):
            continue
        if kind == "histogram":
            rules.setdefault(name, Rule(name, "histogram", (), exactly=Pick(name)))
        elif kind in SINGLE and sample.name == name:
            shown = name + _shown(sample.labels)
            where = tuple(
                (label, re.compile(re.escape(value))) for label, value in sample.labels.items()
            )
            pick = Pick(name.removesuffix("_total"), where)
            rules.setdefault(
                shown, Rule(shown, "counter" if kind == "counter" else "gauge", (), exactly=pick)
            )
    return Engine("metrics", ("",), tuple(rules.values())) if rules else None


def _shown(labels: dict[str, str]) -> str:
    inside = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
    return f"{{{inside}}}" if inside else ""


def nearest_family(pattern: str, names: Sequence[str]) -> str:
    """Return ", nearest is X" for the family most like a pattern that found none."""
    from llmtop.sources.scraping.facts import nearest_name

    near = nearest_name(re.sub(r"[^a-zA-Z0-9_:]+", "", pattern), frozenset(names))
    return f", nearest is {near}" if near else ""
