"""nanochat and autoresearch: lines of bars; the latter overwrites one line for the whole run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Points
from llmtop.formats.console import Console, plain, split_rank
from llmtop.formats.numbers import NUMBER
from llmtop.formats.pipes import STEP, fields
from llmtop.samples import NO_STEP

_EVAL = re.compile(
    r"Step (\d{1,12})(?:/\d{1,12})? \| "
    r"(?=(?:Validation|Training|Average|CORE|ChatCORE|Pass@\d|Minimum)\b)(.{1,500})"
)
_PAIR = re.compile(rf"([A-Z][\w@ ]{{1,40}}): ({NUMBER})(?=[,|\s]|$)")
_SUMMARY = re.compile(rf"val_bpb: {{1,20}}({NUMBER})\s*")
_DONE = re.compile(r"Total training time: \d[\d.]{0,12}m\s*")


class Nanochat(Console):
    """Reads training, evaluation and the summary at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        _, line = split_rank(line)
        found = STEP.match(line)
        if found is not None:
            return self._train(line, found)
        found = _EVAL.match(line)
        if found is not None:
            values = {name: plain(text) for name, text in _PAIR.findall(found.group(2))}
            return (Points(values, int(found.group(1))),) if values else None
        if self._step == NO_STEP:
            return None
        found = _SUMMARY.fullmatch(line)
        if found is not None:
            point = Points({"val_bpb": plain(found.group(1))}, self._step)
            return (point, End("finished", "val_bpb is told at the end"))
        return (End("finished", line.strip()),) if _DONE.fullmatch(line) else None

    def _train(self, line: str, found: re.Match[str]) -> Iterable[Item] | None:
        values = fields(line[found.end() + 1 :])
        if "loss" not in values or "dt" not in values or "norm" in values:
            return None
        for left in ("eta", "remaining"):
            values.pop(left, None)
        step, total = found.groups()
        self._step = int(step)
        about = () if total is None else self.about(total)
        return (*about, Points(values, self._step))


FORMATS = (
    LineFormat(
        name="nanochat",
        title="nanochat, autoresearch",
        example=(
            "step 00120/21400 (0.56%) | loss: 6.204117 | lrm: 1.00 | dt: 310.44ms |"
            " tok/sec: 1,688,840 | mfu: 47.21 | total time: 0.57m"
        ),
        marks=(" | loss: ", "Step ", "val_bpb: ", "Total training time: "),
        reader=Nanochat,
        units={
            "dt": "ms", "tok/sec": "tokens/s", "mfu": "percent", "bf16_mfu": "percent",
            "total time": "minutes",
        },
    ),
)  # fmt: skip
