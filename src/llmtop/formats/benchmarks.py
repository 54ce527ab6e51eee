"""Results of serving benchmarks: vLLM, SGLang and InferenceX.

One flat JSON object a benchmark, alone in its file or appended a line each. The three share most
names but not their units: vLLM and SGLang say milliseconds in the name ("median_ttft_ms"),
InferenceX means seconds and does not say so ("median_ttft").
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import About, FileFormat, Item, Points
from llmtop.formats.documents import Document, outline
from llmtop.formats.numbers import flatten
from llmtop.formats.unit_rules import UnitRules

MAX_TEXT = 200
"""Characters of a setting that is kept as a tag: model paths, not prompts."""

_COMMON = frozenset({"request_throughput", "completed", "duration"})
_OF_SGLANG = frozenset({"mean_e2e_latency_ms", "median_e2e_latency_ms", "accept_length"})
_OF_INFERENCEX = frozenset({"mean_ttft", "median_ttft", "p99_ttft"})
_UNITS = UnitRules(
    (r".*_ms", "ms"),
    (r"(?:mean|median|std|p[\d.]+)_(?:ttft|tpot|itl|e2el)", "seconds"),
    (r"duration", "seconds"),
    (r"request_(?:throughput|goodput):?", "requests/s"),
    (r"(?:\w+_)?(?:throughput|tput_per_gpu)|max_output_tokens_per_s|\w+_intvty", "tokens/s"),
    (r"total_\w+_tokens\w*", "tokens"),
)
_MODEL = ("model_id", "model", "served_model_name")


def _items(result: dict[str, Any]) -> Iterator[Item]:
    # Strings stay out: a rate of "inf" is the setting "as fast as possible", not a measurement.
    values = flatten({k: v for k, v in result.items() if type(v) in (int, float)})
    tags = {k: v for k, v in result.items() if type(v) is str and 0 < len(v) <= MAX_TEXT}
    name = next((tags[key] for key in _MODEL if key in tags), "")
    yield About(name=name, phase="eval", tags=tags)
    if values:
        yield Points(values, time=_time(result.get("date")))


def _time(date: object) -> float | None:
    """Return unix seconds of "20260213-135636", which is local time."""
    try:
        return datetime.strptime(str(date), "%Y%m%d-%H%M%S").timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _is_sglang(_path: Path, head: bytes) -> bool:
    keys = outline(head)
    return keys >= _COMMON and bool(keys & _OF_SGLANG)


def _is_inferencex(_path: Path, head: bytes) -> bool:
    keys = outline(head)
    return bool(keys & _OF_INFERENCEX) and (keys >= _COMMON or "tput_per_gpu" in keys)


def _is_vllm(_path: Path, head: bytes) -> bool:
    # With --save-detailed the latencies may come after a megabyte of tokens.
    keys = outline(head)
    return keys >= _COMMON and not keys & (_OF_SGLANG | _OF_INFERENCEX)


FORMATS = tuple(
    FileFormat(
        name=name, title=title, example=example, sniff=sniff,
        reader=partial(Document, items=_items), units=_UNITS, phase="eval",
    )
    for name, title, example, sniff in (
        (
            "vllm-bench", "vLLM bench serve",
            'vllm-10qps.json: {"completed": 200, "request_throughput": 9.7, '
            '"median_ttft_ms": 85.1, ...}',
            _is_vllm,
        ),
        (
            "sglang-bench", "SGLang bench_serving",
            'sglang_0101_200.jsonl: {"backend": "sglang", "completed": 200, '
            '"mean_e2e_latency_ms": 1210.3, ...}',
            _is_sglang,
        ),
        (
            "inferencex", "InferenceX",
            'llama70b_tp8_conc16.json: {"completed": 160, "request_throughput": 0.7, '
            '"median_ttft": 3.1, ...} in seconds',
            _is_inferencex,
        ),
    )
)
