"""Names and numbers in a line of text, of no tool in particular.

step=170 loss=2.31 lr: 3e-4 | Epoch 3 | loss 2.1 | [12/100] loss: 0.3 | Epoch [3/10], Step [5/80]

Source code, configurations and tracebacks hold names and numbers, too. So a line must either say
its step and something else, or hold a metric of the vocabulary that only a run can know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import About, Item, LineFormat, Points
from llmtop.formats.numbers import NUMBER, number, timestamp
from llmtop.formats.record import is_measured
from llmtop.metrics import find
from llmtop.samples import NO_STEP

MAX_LINE = 8192
"""Characters of a line that is looked at: verl, the longest, prints 8 kB."""
MAX_INDENT = 8
"""Spaces before a line that is looked at; code and configurations are indented deeper."""

_VALUE = rf"({NUMBER}(?:\s?%|[a-zA-Z/µμ]{{1,12}})?)(?=[\s,;|\])(]|$)"
_SOME = re.compile(r"[=:\w]\s*(?:\d|\.\d|-\d|[nN]a|[iI]nf)")
"""A number after something: tested first, since most lines have none."""
_PAIR = re.compile(
    r"(?<![\w.'\"/-])([A-Za-z_][\w./@-]{0,79}(?: [a-z]\w{0,20})?)\s{0,40}([=:]\s{0,40}|\s)" + _VALUE
)
_COUNTER = re.compile(
    r"(?<![\w.])(global_step|global step|iteration|iter|step|batch|update|epoch)\b"
    r"\s*[=:#]?\s*[\[(]?\s*(\d[\d,]{0,14})(?:\s*/\s*(\d[\d,]{0,14}))?(?![\d.]*\d)",
    re.IGNORECASE,
)
"""Step 5, step=5, Iter [5/80], Epoch: 3/10; the last one only where there is no other."""
_OF = re.compile(r"(?<![\w/.:-])(\d{1,12})/(\d{1,12})(?:\]|\s|$)(?!\s*\d\d?:\d\d)")
"""[12/100], or the count of a progress bar; not a date."""
_CODE = re.compile(
    r"^\s*(?:def |class |import |from |return |if |elif |for |while |with |assert |print\(|#|//|>>>"
    r"|@|File \"|raise |parser\.)|[{}]|\bself\.|Namespace\(|(?<=\w)\(\w+="
    r"|(?<![=\[])[=!<>+*-]=(?![=>\]])|(?<=\w) = \w[\w.]*[ (*]|Arguments\(|Config\("
)
_LONE = re.compile(r"^\s*\w+ ?= ?[\d.eE+-]+;?\s*$")
"""An assignment and nothing else."""
_IDENTITY = frozenset({"pid", "port", "line", "seed", "rank", "version", "id"})
"""Names of numbers that tell things apart."""
_STEPS = ("global_step", "global step", "iteration", "iter", "step", "batch", "update")


class Reader:
    """Reads lines of names and numbers."""

    def __init__(self) -> None:
        self._total = 0
        self._from_zero = False
        """Whether an epoch 0 was seen, so that steps within an epoch can be added up."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the numbers of a line, None when it is no measurement."""
        if len(line) > MAX_LINE or line.startswith((" " * (MAX_INDENT + 1), "\t")):
            return None
        if _SOME.search(line) is None:
            return None
        values = _values(line)
        if not values or _CODE.search(line) is not None:
            return None
        step, total, name = self._step(line)
        values.pop(name, None)
        if not values or not _is_measurement(line, values, step if name else NO_STEP):
            return None
        found: list[Item] = []
        if total and total != self._total:
            self._total = total
            found.append(About(total_steps=total))
        found.append(Points(values, step, timestamp(line) if ":" in line else None))
        return found

    def end(self) -> Iterable[Item]:
        """Return nothing: each line is whole."""
        return ()

    def _step(self, line: str) -> tuple[int, int, str]:
        """Return the step of a line, how many there are (0: unknown), and what it is called."""
        counters = {found.group(1).lower(): found for found in _COUNTER.finditer(line)}
        epoch = _numbers(counters["epoch"]) if "epoch" in counters else None
        if epoch is not None and epoch[0] == 0:
            self._from_zero = True
        chosen = next((name for name in _STEPS if name in counters), "")
        after = counters["epoch"].end() if epoch is not None else 0
        of = _OF.search(line, after) if "/" in line else None
        if chosen:
            step, total = _numbers(counters[chosen])
        elif of is not None and int(of.group(1)) <= int(of.group(2)):
            step, total = int(of.group(1)), int(of.group(2))
        elif epoch is not None:
            return epoch[0], 0, counters["epoch"].group(1)
        else:
            return NO_STEP, 0, ""
        if epoch is not None and 0 < total >= step:
            # Steps begin again with each epoch: they are added up.
            step += (epoch[0] - (0 if self._from_zero else 1)) * total
            total *= epoch[1]
        return max(step, NO_STEP), total, counters[chosen].group(1) if chosen else ""


def _is_measurement(line: str, values: dict[str, float], named_step: int) -> bool:
    """Return whether the numbers of a line were measured by a run, not set or counted."""
    if any(map(is_measured, values)):
        return named_step != NO_STEP or _LONE.match(line) is None
    return named_step != NO_STEP and ("=" in line or ": " in line)


def _numbers(found: re.Match[str]) -> tuple[int, int]:
    of = found.group(3)
    return int(found.group(2).replace(",", "")), int(of.replace(",", "")) if of else 0


def _values(line: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, between, written in _PAIR.findall(line):
        # Without a sign between them a word and a number belong together only if it is a metric.
        if between.isspace() and find(name) is None:
            name = name.rpartition(" ")[2]
            if find(name) is None:
                continue
        value = number(written)
        if value is not None and name.rpartition(" ")[2].lower() not in _IDENTITY:
            values[name] = value
    return values


FORMATS = (
    LineFormat(
        name="keyvalue",
        title="names and numbers",
        example="step=170 loss=2.31 lr: 3e-4",
        marks=("=", ": ", "loss ", "Loss "),
        reader=Reader,
        generic=True,
    ),
)
