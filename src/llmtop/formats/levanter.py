"""Levanter: its JSON tracker, one object in a line of Python's logging."""

from __future__ import annotations

import json
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import flatten, number_of, step_of, timestamp


class Levanter(Console):
    """Reads the events of json_logger: metrics, and the end."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        start = line.find("{")
        if start < 0:
            return None
        try:
            record = json.loads(line[start:])
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict) or record.get("tracker") != "json_logger":
            return None
        time = timestamp(line[:start])
        if record.get("event") == "finish":
            return (End("finished", "tracker finished", time),)
        metrics = record.get("metrics")
        if record.get("event") != "log" or not isinstance(metrics, dict):
            return ()
        values = flatten(metrics)
        step = step_of(number_of(record.get("step")))
        return (Points(values, step, time),) if values else ()


FORMATS = (
    LineFormat(
        name="levanter",
        title="Levanter",
        example=(
            "2025-02-11T09:30:12 - 0 - levanter.tracker - json_logger.py:40 - INFO :: "
            '{"tracker": "json_logger", "event": "log", "step": 120,'
            ' "metrics": {"train": {"loss": 6.2041}, "throughput": {"mfu": 41.3}}}'
        ),
        marks=('"json_logger"',),
        reader=Levanter,
        units={"throughput/mfu": "percent"},
    ),
)
