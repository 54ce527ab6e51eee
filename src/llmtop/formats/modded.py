"""modded-nanogpt and parameter-golf: name:value tokens with glued units.

The log begins with the source code of the run, thousands of lines of it. The training time starts
over after the warm-up steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number
from llmtop.samples import NO_STEP

_LINE = re.compile(r"step:(\d{1,12})/(\d{1,12}) (?=[a-z_]{1,40}:)(\S.*)")
_FINAL = re.compile(r"final_[\w-]{1,60} val_loss:\S")
_PEAK = "peak memory "


class Modded(Console):
    """Reads the lines of training and validation."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LINE.fullmatch(line)
        if found is not None:
            step, total, rest = found.groups()
            values = _tokens(rest)
            if not values:
                return None
            self._step = int(step)
            return (*self.about(total), Points(values, self._step))
        if self._step == NO_STEP:
            return None
        if line.startswith(_PEAK):
            return (End("finished", line.strip()),)
        return (Note(line.strip(), step=self._step),) if _FINAL.match(line) else None


def _tokens(text: str) -> dict[str, float]:
    """Return name -> number; times are in ms, in which nearly all are written."""
    values = {}
    for token in text.split():
        name, _, value = token.partition(":")
        try:
            if value.endswith("ms"):
                values[name] = float(value[:-2])
            elif value.endswith("s"):
                values[name] = float(value[:-1]) * 1e3
            else:
                values[name] = float(value)
        except ValueError:
            if (read := number(value)) is not None:
                values[name] = read
    return values


FORMATS = (
    LineFormat(
        name="modded-nanogpt",
        title="modded-nanogpt, parameter-golf",
        example="step:250/1400 val_loss:4.1127 train_time:36020ms step_avg:144.08ms",
        marks=(" train_time:", _PEAK, " val_loss:"),
        reader=Modded,
        units={"train_time": "ms", "step_avg": "ms"},
    ),
)
