"""Composer and llm-foundry: a header with the progress, then an indented line for each metric.

Values have four decimals, so that a learning rate of 6e-5 is printed as 0.0001.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number
from llmtop.samples import NO_STEP

_HEADER = re.compile(
    r"(?:\[epoch=(\d{1,9})(?:/\d{1,9})?\])?\[(batch|iteration)=(\d{1,12})(?:/(\d{1,12}))?\]:\s*"
)
_METRIC = re.compile(r"\s{1,8}(?:Train|Eval) ([A-Za-z][\w./() @-]{0,200}): (.{1,200})")
_FILE = re.compile(r"\[metric\]\[batch=(\d{1,12})\]: ([A-Za-z][^:]{0,200}): (\S{1,60})\s*")


class Composer(Console):
    """Reads the console logger's blocks and the file logger's lines."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _HEADER.fullmatch(line)
        if found is not None:
            return self._header(found)
        found = _METRIC.fullmatch(line)
        if found is not None and self._step != NO_STEP:
            return self._metric(found.group(1), found.group(2), self._step)
        found = _FILE.fullmatch(line)
        if found is not None:
            return self._metric(found.group(2), found.group(3), int(found.group(1)))
        return None

    def _header(self, found: re.Match[str]) -> Iterable[Item]:
        """Keep the step: within epochs the batches are counted from the start of each."""
        epoch, _, batch, total = found.groups()
        self._step = int(batch)
        if epoch is None:
            return () if total is None else self.about(total)
        if total is not None:
            self._step += (int(epoch) - 1) * int(total)
        return ()

    def _metric(self, name: str, text: str, step: int) -> Iterable[Item]:
        read = number(text)
        return () if read is None else (Points({name: read}, max(step, 0)),)


FORMATS = (
    LineFormat(
        name="composer",
        title="Composer, llm-foundry",
        example=(
            "[batch=40/2000]:\n\t Train loss/train/total: 7.2135\n"
            "\t Train throughput/tokens_per_sec: 41210.5000"
        ),
        marks=("[batch=", "[iteration=", " Train ", " Eval "),
        reader=Composer,
        units={"memory/current_allocated_mem": "GB", "memory/peak_reserved_mem": "GB"},
    ),
)
