"""torchtune: its disk logger's lines, which its console logger prints too."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console, split_rank
from llmtop.formats.numbers import number

_LINE = re.compile(r"Step (\d{1,12}) \| (?=[\w/.-]{1,80}:\S)")


class Torchtune(Console):
    """Reads lines in which every token is name:value; what is no number was printed by str()."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        _, line = split_rank(line)
        found = _LINE.match(line)
        if found is None:
            return None
        values = {}
        for token in line[found.end() :].split():
            name, _, text = token.partition(":")
            if not text:
                return None
            if (read := number(text)) is not None:
                values[name] = read
        return (Points(values, int(found.group(1))),) if values else None


FORMATS = (
    LineFormat(
        name="torchtune",
        title="torchtune",
        example="Step 12 | loss:1.4402118 lr:2e-05 tokens_per_second_per_gpu:812.5 ",
        marks=("Step ",),
        reader=Torchtune,
        units={"tokens_per_second_per_gpu": "tokens/s"},
    ),
)
