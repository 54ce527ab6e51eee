"""litgpt: a line an iteration, several of which may make one optimizer step.

The validation loss is printed in every line, new or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console, plain, split_rank
from llmtop.formats.numbers import NUMBER, number
from llmtop.samples import NO_STEP

_LINE = re.compile(
    r"(?:Epoch \d{1,9} \| )?iter (\d{1,12}) step (\d{1,12})(?: \||:)"
    r" loss(?: train:)? ([^\s,|]{1,40})"
    rf"(?:, val: ([^\s|]{{1,40}}))?(?: \||,) iter time: ({NUMBER}) ?ms"
)
_VAL = re.compile(
    rf"iter (\d{{1,12}}): val loss ({NUMBER}), val time: ({NUMBER}) ?ms"
    rf"|Final evaluation \| val loss: ({NUMBER})"
)
_SAVED = re.compile(r"Saving (?:checkpoint|LoRA weights|adapter weights) to ")
_DONE = re.compile(rf"Training time: {NUMBER}s\s*")


class Litgpt(Console):
    """Reads the lines of pretraining and finetuning."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        _, line = split_rank(line)
        found = _LINE.match(line)
        if found is not None:
            iteration, step, loss, val, milliseconds = found.groups()
            values = {"iter": float(iteration)}
            for name, text in (("loss", loss), ("val", val), ("ms", milliseconds)):
                if text is not None and (read := number(text)) is not None:
                    values[name] = read
            self._step = int(step)
            return (Points(values, self._step),)
        found = _VAL.match(line)
        if found is not None:
            loss = found.group(2) or found.group(4)
            return (Points({"val loss": plain(loss)}, self._step),)
        if self._step == NO_STEP:
            return None
        if _SAVED.match(line):
            return (Note(line.strip(), "checkpoint", self._step),)
        return (End("finished", line.strip()),) if _DONE.fullmatch(line) else None


FORMATS = (
    LineFormat(
        name="litgpt",
        title="litgpt",
        example=(
            "Epoch 1 | iter 64 step 16 | loss train: 2.204, val: n/a |"
            " iter time: 88.31 ms (step) remaining time: 0:14:20"
        ),
        marks=("iter time: ", ": val loss ", "Final evaluation | ", "Saving ", "Training time: "),
        reader=Litgpt,
        units={"ms": "ms"},
    ),
)
