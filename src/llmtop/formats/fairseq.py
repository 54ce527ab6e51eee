"""fairseq: JSON in a line of logging with every value a string, or the simple format's bars."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import NUMBER, flatten, number, step_of, timestamp
from llmtop.samples import NO_STEP

_JSON = re.compile(r"(?:\[|\| )(?:train_inner|train|valid\w{0,30})(?:\]\[INFO\] - | \| )(?=\{)")
_INNER = re.compile(r"\| epoch (\d{1,9}):? +\d{1,12} / \d{1,12} (?=\w{1,40}=)")
_EPOCH = re.compile(
    r"\| epoch (\d{1,9}) \| (?:(valid) on '[^']{1,80}' subset \| )?(?=\w{1,40} \S)"
)
_FIELD = re.compile(rf"(\w{{1,60}})[= ]({NUMBER})(?![\w.])")
_SAVED = re.compile(
    r"[Ss]aved checkpoint (?:\S{1,400} )?\(epoch \d{1,9} @ (\d{1,12}) updates.*"
)
_DONE = re.compile(r"\bdone training in [\d.]{1,16} seconds")


class Fairseq(Console):
    """Reads progress within an epoch, the end of one, and validation."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _JSON.search(line)
        if found is not None:
            return _record(line, found.end())
        found = _INNER.search(line)
        if found is not None:
            return _simple(line, found, ", ", "")
        found = _EPOCH.search(line)
        if found is not None:
            return _simple(line, found, " | ", "valid_" if found.group(2) else "train_")
        found = _SAVED.search(line)
        if found is not None:
            step = int(found.group(1))
            return (Note(found.group(), "checkpoint", step, timestamp(line)),)
        found = _DONE.search(line)
        return None if found is None else (End("finished", found.group(), timestamp(line)),)


def _record(line: str, start: int) -> Iterable[Item] | None:
    try:
        record = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    values = flatten(record) if isinstance(record, dict) else {}
    return _points(values, line[:start]) if values else None


def _simple(
    line: str, found: re.Match[str], separator: str, prefix: str
) -> Iterable[Item] | None:
    """Read "loss=1.27 (1.50), wps=962": the value, not the average behind it."""
    values = {"epoch": float(found.group(1))}
    for part in line[found.end() :].split(separator):
        field = _FIELD.match(part.strip())
        if field is not None:
            name, text = field.groups()
            if (read := number(text)) is not None:
                values[prefix + name] = read
    return _points(values, line[: found.start()]) if len(values) > 1 else None


def _points(values: dict[str, float], line: str) -> Iterable[Item]:
    step = next(
        (step_of(value) for name, value in values.items() if name.endswith("num_updates")), NO_STEP
    )
    return (Points(values, step, timestamp(line)),)


FORMATS = (
    LineFormat(
        name="fairseq",
        title="fairseq",
        example=(
            '[2023-01-15 12:04:40,512][train_inner][INFO] - {"epoch": 2, "loss": "6.204",'
            ' "ppl": "73.7", "wps": "31022.4", "num_updates": "1200", "lr": "0.00015",'
            ' "gnorm": "0.812"}'
        ),
        marks=("num_updates", "| epoch ", " updates", "done training in "),
        reader=Fairseq,
    ),
)
