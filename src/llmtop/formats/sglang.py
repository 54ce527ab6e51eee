"""SGLang's server: a line for each prefill, and for every so many decode steps."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number, timestamp

_LINE = re.compile(r"\] (Decode|Prefill) batch(?: \[\d{1,12}\])?[.,] (?=[#A-Za-z])")
_RANK = re.compile(r"\bDP(\d{1,6})\b")
_DOWN = "SIGTERM received."


class Sglang(Console):
    """Reads batches; usages are from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = False

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LINE.search(line)
        if found is None:
            if self._seen and _DOWN in line:
                return (End("finished", _DOWN, timestamp(line)),)
            return None
        kind = "decode/" if found.group(1) == "Decode" else "prefill/"
        values = {}
        for part in line[found.end() :].split(", "):
            name, _, text = part.rstrip(", ").rpartition(": ")
            if name and (read := number(text)) is not None:
                values[kind + name] = read
        if not values:
            return None
        self._seen = True
        rank = _RANK.search(line, 0, found.start())
        number_of_rank = None if rank is None else int(rank.group(1))
        return (Points(values, time=timestamp(line), rank=number_of_rank),)


FORMATS = (
    LineFormat(
        name="sglang",
        title="SGLang server",
        example=(
            "[2025-07-21 16:40:12 DP0 TP0] Decode batch, #running-req: 12, #token: 20480,"
            " token usage: 0.42, cuda graph: True, gen throughput (token/s): 612.40,"
            " #queue-req: 3"
        ),
        marks=("Decode batch", "Prefill batch", _DOWN),
        reader=Sglang,
        units={
            "decode/gen throughput (token/s)": "tokens/s",
            "prefill/input throughput (token/s)": "tokens/s",
            "decode/token usage": "fraction", "decode/full token usage": "fraction",
            "decode/swa token usage": "fraction", "prefill/token usage": "fraction",
            "prefill/full token usage": "fraction", "prefill/swa token usage": "fraction",
            "decode/accept rate": "fraction", "prefill/cache hit rate": "percent",
        },
        phase="serve",
    ),
)  # fmt: skip
