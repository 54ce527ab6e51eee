"""llm.c: its main.log (tel is the loss on held-out data, trl that of training), and its console."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console, plain
from llmtop.formats.numbers import NUMBER
from llmtop.formats.pipes import STEP, fields

_LOG = re.compile(r"s:(\d{1,12}) (?=(?:tel|trl|eval):)(\S.*)")
_VAL = re.compile(rf"val loss ({NUMBER})\s*")
_RATE = " tok/s"


class MainLog(Console):
    """Reads main.log."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LOG.fullmatch(line)
        if found is None:
            return None
        step, rest = found.groups()
        values = {}
        for token in rest.split():
            name, _, text = token.partition(":")
            try:
                values[name] = float(text)
            except ValueError:
                return None
        return (Points(values, int(step)),)


class Stdout(Console):
    """Reads what train_gpt2 prints; a "val loss" belongs to the steps done so far."""

    def __init__(self) -> None:
        super().__init__()
        self._step = -1

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = STEP.match(line)
        if found is not None and found.group(2) is not None and _RATE in line:
            values = fields(line[found.end() + 1 :])
            if "norm" not in values or "ms" not in values:
                return None
            self._step = int(found.group(1))
            return (*self.about(found.group(2)), Points(values, self._step))
        held_out = _VAL.fullmatch(line)
        if held_out is None or self._step < 0:
            return None
        return (Points({"val loss": plain(held_out.group(1))}, self._step),)


FORMATS = (
    LineFormat(
        name="llmc-log",
        title="llm.c (main.log)",
        example="s:120 trl:6.2041 lr:0.000103 norm:0.81",
        marks=(" tel:", " trl:", " eval:"),
        reader=MainLog,
    ),
    LineFormat(
        name="llmc",
        title="llm.c",
        example=(
            "step  120/19560 | loss 6.204117 (+0.31z)| norm 0.8125 (-0.92z)| lr 1.03e-04 |"
            " 310.44 ms | 52.1% bf16 MFU | 1688840 tok/s"
        ),
        marks=(_RATE, "val loss "),
        reader=Stdout,
        units={"ms": "ms", "bf16 MFU": "percent", "tok/s": "tokens/s"},
    ),
)
