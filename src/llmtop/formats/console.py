"""What readers of consoles share: ranks in front of lines, fields between bars, total steps."""

from __future__ import annotations

import re

from llmtop.formats.base import About, Item
from llmtop.formats.numbers import number

_RANK = re.compile(r"(?:\[(?:rank|default)(\d{1,7})\]:| {0,6}(\d{1,7}):) ?(?=\D)")
"""torchrun's prefix of a worker's line, the rank or by default the local rank; srun --label's."""
MAX_DIGITS = 15
"""Digits of the largest step or total that is believed: more would not fit a float exactly."""


def split_rank(line: str) -> tuple[int | None, str]:
    """Return the rank that a launcher put in front of a line, None without one, and the line."""
    found = _RANK.match(line)
    if found is None:
        return None, line
    return int(found.group(1) or found.group(2)), line[found.end() :]


def plain(text: str) -> float:
    """Return the number that NUMBER has matched."""
    return float(text.replace(",", "") if "," in text else text)


def bars(text: str) -> dict[str, float]:
    """Return the numbers of "name: 1.5 | other: 2ms | ..."; what is no number is left out."""
    values: dict[str, float] = {}
    for part in text.split("|"):
        name, colon, value = part.rpartition(":")
        if colon and (read := number(value.strip())) is not None and (name := name.strip()):
            values[name] = read
    return values


class Console:
    """A reader of records that end with their line: it holds nothing back."""

    def __init__(self) -> None:
        self._total = ""
        self._noted = ""

    def about(self, total: str) -> tuple[Item, ...]:
        """Return how many steps there will be, unless that is what was said last."""
        if total == self._total or len(total) > MAX_DIGITS:
            return ()
        self._total = total
        return (About(total_steps=int(total)),) if int(total) else ()

    def again(self, text: str) -> bool:
        """Tell whether `text` was what was noted last: every rank says the same."""
        same, self._noted = text == self._noted, text
        return same

    def end(self) -> tuple[Item, ...]:
        """Return what is held back: nothing."""
        return ()
