"""LLaMA-Factory's trainer_log.jsonl.

Old versions write nulls and numbers as text; the last line has no loss. Two processes may append
to one file, so that steps go back and forth: their lines are told as they come.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from llmtop.formats.base import About, Item, LineFormat, Points, Skipped
from llmtop.formats.numbers import flatten, step_of

_NOT_MEASURED = ("current_steps", "total_steps", "elapsed_time", "remaining_time")


class Reader:
    """Reads trainer_log.jsonl."""

    def __init__(self) -> None:
        self._total = 0

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the numbers of one record."""
        start = line.find("{")
        if start < 0:
            return None
        try:
            record = json.loads(line[start:])
        except (ValueError, RecursionError):
            # Two writers without a lock tear each other's lines.
            return (Skipped("a line that is no JSON"),) if start == 0 else None
        if not isinstance(record, dict) or "current_steps" not in record:
            return None
        values = flatten({key: v for key, v in record.items() if key not in _NOT_MEASURED})
        found: list[Item] = []
        counted = flatten({key: record[key] for key in _NOT_MEASURED[:2] if key in record})
        total = step_of(counted.get("total_steps"))
        if total > 0 and total != self._total:
            self._total = total
            found.append(About(total_steps=total))
        if values:
            found.append(Points(values, step_of(counted.get("current_steps"))))
        return found

    def end(self) -> Iterable[Item]:
        """Return nothing: each line is whole."""
        return ()


FORMATS = (
    LineFormat(
        name="llamafactory",
        title="LLaMA-Factory, trainer_log.jsonl",
        example='{"current_steps": 5, "total_steps": 90, "loss": 2.35, "lr": 1.8e-06, '
        '"epoch": 0.1, "percentage": 5.56, "elapsed_time": "0:00:41"}',
        marks=('"current_steps"',),
        reader=Reader,
        units={"percentage": "percent", "vram_allocated": "GiB", "vram_reserved": "GiB"},
    ),
)
