"""torchtitan: one line a step, by every rank that is asked for, each with its own throughput."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console, plain, split_rank
from llmtop.formats.numbers import NUMBER, number, timestamp

_STEP = re.compile(r"step: {1,12}(\d{1,12})  (?=\w)")
_MEMORY = re.compile(rf"({NUMBER})GiB\(({NUMBER})%\)")
_TOTAL = re.compile(r"Training starts at step \d.*\btotal steps (\d{1,12})\b")
_SAVED = "Finished saving the checkpoint"
_DONE = "Training completed"


class Torchtitan(Console):
    """Reads the metrics of training and validation."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        at = line.find("step: ")
        found = _STEP.match(line, at) if at >= 0 else None
        if found is not None:
            head = line[:at]
            if head and head[-1] != " ":
                return None
            values = _fields(line[found.end() :], "validate/" if head[-9:] == "validate " else "")
            if not values:
                return None
            rank, _ = split_rank(line)
            return (Points(values, int(found.group(1)), timestamp(head), rank),)
        if " - INFO - " not in line:
            return None
        if (total := _TOTAL.search(line)) is not None:
            return self.about(total.group(1))
        if _SAVED in line:
            text = line[line.index(_SAVED) :]
            return () if self.again(text) else (Note(text, "checkpoint", time=timestamp(line)),)
        return (End("finished", _DONE, timestamp(line)),) if line.endswith(_DONE) else None


def _fields(text: str, prefix: str) -> dict[str, float]:
    """Return name -> number; the memory has two, its share of the device as memory_pct."""
    values = {}
    name = ""
    for value in text.split():
        if value[-1] == ":":
            name = value[:-1]
            continue
        if not name:
            continue
        if "(" in value and (memory := _MEMORY.fullmatch(value)) is not None:
            values[f"{prefix}{name}"] = plain(memory.group(1))
            values[f"{prefix}{name}_pct"] = plain(memory.group(2))
        elif (read := number(value.rstrip("%"))) is not None:
            values[prefix + name] = read
        name = ""
    return values


FORMATS = (
    LineFormat(
        name="torchtitan",
        title="torchtitan",
        example=(
            "[rank0]:[titan] 2025-06-03 14:20:08,311 - root - INFO - step: 30  loss:  6.81204"
            "  grad_norm:  1.9021  memory: 41.20GiB(52.02%)  tps: 7,412  tflops: 121.80"
            "  mfu: 39.03%"
        ),
        marks=("step: ", "Training starts at step", _SAVED, _DONE),
        reader=Torchtitan,
        units={
            "memory": "GiB", "memory_pct": "percent", "tps": "tokens/s", "wps": "tokens/s",
            "tflops": "TFLOP/s", "mfu": "percent", "validate/memory": "GiB",
            "validate/memory_pct": "percent", "validate/tps": "tokens/s",
        },
    ),
)  # fmt: skip
