"""build-nanogpt: its log.txt of three tokens a line, and what it prints."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console, plain, split_rank
from llmtop.formats.numbers import NUMBER
from llmtop.formats.pipes import STEP, fields

_LOG = re.compile(rf"(\d{{1,12}}) (train|val|hella) ({NUMBER})\s?")
_RATE = " | tok/sec: "


class LogTxt(Console):
    """Reads log.txt."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LOG.fullmatch(line)
        if found is None:
            return None
        step, name, value = found.groups()
        return (Points({name: plain(value)}, int(step)),)


class Stdout(Console):
    """Reads what is printed; evaluations are in log.txt, where they have their step."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        _, line = split_rank(line)
        found = STEP.match(line)
        if found is None or found.group(2) is not None or _RATE not in line:
            return None
        values = fields(line[found.end() + 1 :])
        if "norm" not in values or "lr" not in values:
            return None
        return (Points(values, int(found.group(1))),)


FORMATS = (
    LineFormat(
        name="build-nanogpt-log",
        title="build-nanogpt (log.txt)",
        example="250 val 5.9317",
        marks=(" train ", " val ", " hella "),
        reader=LogTxt,
    ),
    LineFormat(
        name="build-nanogpt",
        title="build-nanogpt",
        example=(
            "step   120 | loss: 6.204117 | lr 1.0070e-04 | norm: 0.8125 | dt: 310.44ms |"
            " tok/sec: 1688840.20"
        ),
        marks=(_RATE,),
        reader=Stdout,
        units={"dt": "ms", "tok/sec": "tokens/s"},
    ),
)
