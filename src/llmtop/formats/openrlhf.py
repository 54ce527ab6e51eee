"""OpenRLHF: the dict of a global step, as Python prints it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console, plain
from llmtop.formats.numbers import NUMBER

_LINE = re.compile(r"\bGlobal step (\d{1,12}): (?=\{)")
_PAIR = re.compile(rf"'([^'\\]{{1,200}})': (?:[A-Za-z_][\w.]{{0,30}}\()?({NUMBER})(?=[,)}}])")


class Openrlhf(Console):
    """Reads the steps of PPO and its like; the other trainers only move a progress bar."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LINE.search(line)
        if found is None:
            return None
        values = {name: plain(text) for name, text in _PAIR.findall(line, found.end())}
        return (Points(values, int(found.group(1))),) if values else None


FORMATS = (
    LineFormat(
        name="openrlhf",
        title="OpenRLHF",
        example="✨ Global step 12: {'policy_loss': -0.0031, 'kl': 0.0107, 'reward': 0.2812}",
        marks=("Global step ",),
        reader=Openrlhf,
    ),
)
