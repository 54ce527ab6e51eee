"""One JSON object a line, of no tool in particular: any dict that holds numbers.

The object may be nested, stand behind a logging prefix, say its numbers as text, or hold them
in "metrics" or "data" beside the step. {"name": "loss", "value": 2.3} is one number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.numbers import flatten, number_of, timestamp
from llmtop.formats.record import (
    is_measured,
    run_of,
    take_rank,
    take_step,
    take_time,
)
from llmtop.samples import NO_STEP

_WRAPPERS = ("metrics", "data", "logs", "scalars")
"""Keys under which Levanter, verl and others put the numbers, beside the step."""
_NAMES = ("name", "metric", "tag", "key")
"""Keys of the name, where each line holds one value."""
_decode = json.JSONDecoder().raw_decode


class Reader:
    """Reads JSON lines."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the numbers of the object in a line, None when it is not a measurement."""
        start = line.find("{")
        if start < 0:
            return None
        try:
            record, _ = _decode(line, start)
        except (ValueError, RecursionError):
            return None
        if type(record) is not dict:
            return None
        point = _point(record)
        if point is None:
            return None
        if point.time is None and start >= len("00:00:00"):
            point = Points(point.values, point.step, timestamp(line), point.rank, point.run)
        return (point,)

    def end(self) -> Iterable[Item]:
        """Return nothing: each line is whole."""
        return ()


def _point(record: dict[str, Any]) -> Points | None:
    record = _unwrapped(record)
    values = flatten(record)
    fields = len(values)
    step = take_step(values)
    moment = take_time(record, values)
    rank = take_rank(record, values)
    value = number_of(record.get("value"))
    if value is not None and (name := _name_of(record)) is not None:
        values = {name: value}
    elif not values or (
        step == NO_STEP
        and moment is None
        and 2 * fields <= len(record)
        and not any(map(is_measured, values))
    ):
        return None
    return Points(values, step, moment, rank, run_of(record, values))


def _unwrapped(record: dict[str, Any]) -> dict[str, Any]:
    for key in _WRAPPERS:
        inner = record.get(key)
        if type(inner) is dict:
            outer = {name: value for name, value in record.items() if name != key}
            return {**inner, **outer}
    return record


def _name_of(record: dict[str, Any]) -> str | None:
    return next((v for key in _NAMES if isinstance(v := record.get(key), str) and v), None)


FORMATS = (
    LineFormat(
        name="jsonl",
        title="JSON lines",
        example='{"step": 100, "loss": 2.31, "lr": 0.0003, "time": 1767225600.0}',
        marks=('{"', '{ "'),
        reader=Reader,
        generic=True,
    ),
)
