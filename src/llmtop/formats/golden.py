"""Megatron-LM's golden values: JSON with every value of a test run, by metric and step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import FileFormat, Item, Points
from llmtop.formats.documents import Document, outline
from llmtop.formats.numbers import number, number_of, step_of

_PARTS = ("start_step", "end_step", "step_interval", "values")


def _items(document: dict[str, Any]) -> Iterator[Item]:
    steps: dict[int, dict[str, float]] = {}
    for name, series in document.items():
        if type(series) is dict:
            for step, value in _series(series):
                steps.setdefault(step, {})[name] = value
    for step in sorted(steps):
        yield Points(steps[step], step)


def _series(series: dict[str, Any]) -> Iterator[tuple[int, float]]:
    """Yield the steps and values of one metric: by step, or a list from the first step on."""
    values = series.get("values")
    if type(values) is list:
        first, interval = series.get("start_step"), series.get("step_interval")
        if type(first) is not int or type(interval) is not int:
            return
        values = {str(first + index * interval): value for index, value in enumerate(values)}
    if type(values) is dict:
        for text, value in values.items():
            step, found = step_of(number(text)), number_of(value)
            if step >= 0 and found is not None:
                yield step, found


def _sniff(_path: Path, head: bytes) -> bool:
    keys = outline(head)
    return any(
        all(f"{key}/{part}" in keys for part in _PARTS) for key in keys if "/" not in key
    )


FORMATS = (
    FileFormat(
        name="megatron-golden",
        title="Megatron-LM",
        example='golden_values.json: {"lm loss": {"start_step": 1, "end_step": 50, '
        '"step_interval": 1, "values": {"1": 10.5}}}',
        sniff=_sniff,
        reader=partial(Document, items=_items),
        units={
            "iteration-time": "seconds", "mem-allocated-bytes": "bytes",
            "mem-max-allocated-bytes": "bytes",
        },
    ),
)
