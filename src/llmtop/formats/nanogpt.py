"""nanoGPT and its forks, some of which name a unit after the loss."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Note, Points
from llmtop.formats.console import Console, plain, split_rank
from llmtop.formats.numbers import NUMBER
from llmtop.samples import NO_STEP

_UNIT = r"(?: [A-Za-z][\w/]{0,15})?"
_ITER = re.compile(
    rf"iter (\d{{1,12}}): loss ({NUMBER}){_UNIT}, time ({NUMBER})ms(?:, mfu ({NUMBER})%)?"
)
_STEP = re.compile(
    rf"step (\d{{1,12}}): train loss ({NUMBER}){_UNIT}, val loss ({NUMBER}){_UNIT}(?=\s|,|$)"
)
_SAVED = re.compile(r"saving checkpoint to \S")


class Nanogpt(Console):
    """Reads iterations and evaluations; an mfu of -100 is what is printed before it is known."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        _, line = split_rank(line)
        found = _ITER.match(line)
        if found is not None:
            step, loss, milliseconds, mfu = found.groups()
            values = {"loss": plain(loss), "time_ms": plain(milliseconds)}
            if mfu is not None:
                values["mfu_pct"] = plain(mfu)
            self._step = int(step)
            return (Points(values, self._step),)
        found = _STEP.match(line)
        if found is not None:
            step, train, val = found.groups()
            self._step = int(step)
            return (Points({"train_loss": plain(train), "val_loss": plain(val)}, self._step),)
        if self._step != NO_STEP and _SAVED.match(line):
            return (Note(line.strip(), "checkpoint", self._step),)
        return None


FORMATS = (
    LineFormat(
        name="nanogpt",
        title="nanoGPT",
        example="iter 40: loss 7.2135, time 181.20ms, mfu 11.42%",
        marks=(": loss ", ": train loss ", "saving checkpoint to "),
        reader=Nanogpt,
        units={"time_ms": "ms", "mfu_pct": "percent"},
    ),
)
