"""wandb-summary.json: the latest value of each metric, rewritten while the run goes on.

Each rewriting is one point per metric, at the time that the summary says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import FileFormat, Item, Points
from llmtop.formats.documents import Document, outline, without_media
from llmtop.formats.numbers import flatten, unix_time

_OWN = frozenset({"_step", "_timestamp", "_runtime"})
_NEXT_LINE = re.compile(rb"\}\s*\n")
"""After an object: wandb-history.jsonl has the same keys, but one object a line."""


def _items(summary: dict[str, Any]) -> Iterator[Item]:
    values = flatten(without_media(summary))
    if values:
        yield Points(values, time=unix_time(summary.get("_timestamp")))


def _sniff(_path: Path, head: bytes) -> bool:
    keys = outline(head)
    return "_wandb" in keys or (len(_OWN & keys) >= 2 and not _NEXT_LINE.search(head))


FORMATS = (
    FileFormat(
        name="wandb-summary",
        title="Weights & Biases",
        example='wandb-summary.json: {"train/loss": 2.1, "_step": 120, "_wandb": {...}}',
        sniff=_sniff,
        reader=partial(Document, items=_items),
    ),
)
