"""OLMo and OLMo-core: a header with the step, then an indented line for each metric."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number, timestamp
from llmtop.samples import NO_STEP

_HEADER = re.compile(r"\[step=(\d{1,12})(?:/(\d{1,12}))?,epoch=\d{1,9}(?:/\d{1,9})?(?:,[^\]]*)?\]")
_INDENT = "    "
_METRIC = re.compile(r"    ([A-Za-z][\w-]{0,80}/[A-Za-z][^=]{0,200})=(\S{1,60})\s*")
_SAVED = re.compile(r"(?:Checkpoint saved to|checkpoint saved to|Saving checkpoint for step) .*")
_DONE = re.compile(r"\bINFO\s+Training complete\b")


class Olmo(Console):
    """Reads blocks; a metric is handed on with its line, since the block says no end."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP
        self._time: float | None = None

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        if line.startswith(_INDENT):
            return self._metric(line)
        found = _HEADER.search(line)
        if found is not None:
            step, total = found.groups()
            self._step, self._time = int(step), timestamp(line)
            return () if total is None else self.about(total)
        found = _SAVED.search(line)
        if found is not None and "INFO" in line:
            return (Note(found.group(), "checkpoint", self._step, timestamp(line)),)
        if _DONE.search(line) and self._step != NO_STEP:
            return (End("finished", "training complete", timestamp(line)),)
        return None

    def _metric(self, line: str) -> Iterable[Item] | None:
        if self._step == NO_STEP:
            return None
        found = _METRIC.fullmatch(line)
        if found is None:
            return None
        read = number(found.group(2))
        if read is None:
            return ()
        return (Points({found.group(1): read}, self._step, self._time),)


FORMATS = (
    LineFormat(
        name="olmo",
        title="OLMo, OLMo-core",
        example=(
            "2025-04-09 08:12:30.104\tnode-3:0\tolmo.train:966\tINFO\t[step=120/5000,epoch=0]\n"
            "    train/CrossEntropyLoss=6.204\n"
            "    throughput/total_tokens=62,914,560"
        ),
        marks=(
            "[step=", _INDENT, "heckpoint saved to", "Saving checkpoint for", "Training complete",
        ),
        reader=Olmo,
        units={
            "System/Peak GPU Memory (MB)": "MB",
            "throughput/device/tokens_per_second": "tokens/s",
        },
    ),
)  # fmt: skip
