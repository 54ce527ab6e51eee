"""GuideLLM's benchmarks.json: one benchmark for each rate, with the distribution of each metric.

Of a distribution the statistics and percentiles of the successful requests are read, named
metric/statistic; the requests themselves, most of the file, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import About, FileFormat, Item, Points
from llmtop.formats.documents import Document, outline
from llmtop.formats.numbers import MAX_DEPTH, number_of, unix_time
from llmtop.formats.unit_rules import UnitRules

_STATISTICS = ("mean", "median", "std_dev", "min", "max", "count", "total_sum")
_METRIC = re.compile(
    rb'"(?:guidellm_version|time_to_first_token_ms|inter_token_latency_ms|requests_per_second)"'
)
_UNITS = UnitRules(
    (r".*/count", ""),
    (r".*_ms/.*", "ms"),
    (r"request_latency/.*|duration", "seconds"),
    (r"requests_per_second/.*", "requests/s"),
    (r".*tokens_per_second/.*", "tokens/s"),
    (r".*token_count/.*", "tokens"),
)


def _items(report: dict[str, Any]) -> Iterator[Item]:
    benchmarks = report.get("benchmarks")
    if type(benchmarks) is not list:
        return
    yield About(phase="eval")
    for benchmark in benchmarks:
        if type(benchmark) is not dict:
            continue
        values: dict[str, float] = {}
        _add(benchmark.get("metrics"), "", values, 0)
        duration = number_of(benchmark.get("duration"))
        if duration is not None:
            values["duration"] = duration
        rate = _rate(benchmark)
        if rate is not None:
            values["rate"] = rate
        if values:
            yield Points(values, time=unix_time(benchmark.get("end_time")))


def _add(metrics: object, name: str, values: dict[str, float], depth: int) -> None:
    """Add the distributions and counts in a dict of metrics, however deep, to `values`."""
    if type(metrics) is not dict or depth > MAX_DEPTH:
        return
    good = metrics.get("successful")
    if type(good) is dict:
        percentiles = good.get("percentiles")
        found = {key: good.get(key) for key in _STATISTICS}
        found.update(percentiles if type(percentiles) is dict else {})
        for statistic, value in found.items():
            if (number := number_of(value)) is not None:
                values[f"{name}/{statistic}"] = number
        return
    for key, value in metrics.items():
        path = f"{name}/{key}" if name else key
        if type(value) is dict:
            _add(value, path, values, depth + 1)
        elif "successful" in metrics and (number := number_of(value)) is not None:
            values[path] = number


def _rate(benchmark: dict[str, Any]) -> float | None:
    """Return the requests a second that were asked for, wherever this version has them."""
    for settings in (benchmark.get("config"), benchmark.get("args")):
        strategy = settings.get("strategy") if type(settings) is dict else None
        if type(strategy) is dict:
            return number_of(strategy.get("rate"))
    return None


def _sniff(_path: Path, head: bytes) -> bool:
    return "benchmarks" in outline(head) and _METRIC.search(head) is not None


FORMATS = (
    FileFormat(
        name="guidellm",
        title="GuideLLM",
        example='benchmarks.json: {"metadata": {...}, "benchmarks": [{"metrics": '
        '{"time_to_first_token_ms": {"successful": {"mean": 41.2}}}}]}',
        sniff=_sniff,
        reader=partial(Document, items=_items),
        units=_UNITS,
        phase="eval",
    ),
)
