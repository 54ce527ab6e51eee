"""lm-evaluation-harness: results by task, and the samples they were computed from.

A result is named task/metric. Since 0.4 the metric has its filter after a comma ("acc,none") and
the file its date; the standard error stands beside it. A sample's step is its document's number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import About, FileFormat, Item, LineFormat, Points
from llmtop.formats.documents import Document, outline
from llmtop.formats.numbers import flatten, number_of, step_of, unix_time
from llmtop.formats.unit_rules import UnitRules

_UNITS = UnitRules(
    (
        r"(?:.*/)?(?:\w*acc(?:uracy)?|acc_norm|acc_mutual_info|exact_match|em|f1|mc[12]|mcc"
        r"|pass[@_](?:at_)?\d+|\w+_acc)(?:_stderr)?(?:,.*)?",
        "ratio",
    ),
)
_ABOUT = ("model", "model_args", "num_fewshot", "limit", "batch_size")
"""Of the configuration: what decides whether two results can be compared."""
_NO_METRIC = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"}
)


def _items(document: dict[str, Any]) -> Iterator[Item]:
    results = document.get("results")
    if type(results) is not dict:
        return
    config = document.get("config") or document.get("config_general")
    settings = config if type(config) is dict else {}
    tags = {key: settings[key] for key in _ABOUT if settings.get(key) is not None}
    name = document.get("model_name") or settings.get("model_name") or ""
    yield About(name=str(name), phase="eval", tags=tags)
    values = flatten(results)
    if values:
        yield Points(values, time=unix_time(document.get("date")))


def _sniff(_path: Path, head: bytes) -> bool:
    keys = outline(head)
    metrics = [key.split("/", 2)[2] for key in keys if key.count("/") > 1
               and key.startswith("results/")]
    return any("," in metric or metric.endswith("_stderr") for metric in metrics) or (
        bool(metrics) and "versions" in keys
    )


class _Samples:
    """Reads samples_TASK.jsonl: a document and what it scored, a line."""

    def __init__(self) -> None:
        self._filter: str | None = None

    def read(self, line: str) -> Iterable[Item] | None:
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if type(sample) is not dict or type(sample.get("doc_id")) is not int:
            return None
        if "filtered_resps" not in sample and "resps" not in sample:
            return None
        named = sample.get("metrics")
        names = named if type(named) is list else [key for key in sample if key not in _NO_METRIC]
        ending = self._ending(str(sample.get("filter", "")))
        values = {"doc_id": float(sample["doc_id"])}
        for name in names:
            value = sample.get(name) if type(name) is str else None
            number = float(value) if type(value) is bool else number_of(value)
            if number is not None and type(value) is not str:
                values[f"{name}{ending}"] = number
        return (Points(values, step_of(values["doc_id"])),)

    def _ending(self, filtered: str) -> str:
        """Return what tells a metric of a second filter from the first one's."""
        if self._filter is None:
            self._filter = filtered
        return "" if filtered == self._filter else f",{filtered}"

    def end(self) -> Iterable[Item]:
        return ()


FORMATS = (
    FileFormat(
        name="lm-eval",
        title="lm-evaluation-harness, lighteval",
        example='results_2025-06-09.json: {"results": {"piqa": {"acc,none": 0.67, ...}}, ...}',
        sniff=_sniff,
        reader=partial(Document, items=_items),
        units=_UNITS,
        phase="eval",
    ),
    LineFormat(
        name="lm-eval-samples",
        title="lm-evaluation-harness",
        example='{"doc_id": 0, "target": "4", "resps": [["4"]], "filtered_resps": ["4"], '
        '"metrics": ["exact_match"], "exact_match": 1.0}',
        marks=('"doc_id"',),
        reader=_Samples,
        units=_UNITS,
        phase="eval",
    ),
)
