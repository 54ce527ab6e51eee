"""Reads text or a file with one format and returns what it found, for the tests of formats."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from llmtop.formats.base import FileFormat, Item, LineFormat, Points

_BREAK = re.compile(r"\r\n|\r|\n")


def items_of(chosen: LineFormat, text: str) -> list[Item]:
    """Return the items of `text`; lines without a mark are left out as the tailer does."""
    reader = chosen.reader()
    found: list[Item] = []
    for line in _BREAK.split(text):
        if any(mark in line for mark in chosen.marks):
            found.extend(reader.read(line) or ())
    found.extend(reader.end())
    return found


def items_of_file(chosen: FileFormat, path: Path) -> list[Item]:
    """Return the items of a whole file."""
    return list(chosen.reader(path).read())


def points(items: Iterable[Item], rank: int | None = None) -> dict[str, list[tuple[int, float]]]:
    """Return name -> [(step, value)] in order."""
    out: dict[str, list[tuple[int, float]]] = {}
    for item in items:
        if isinstance(item, Points) and item.rank == rank:
            for name, value in item.values.items():
                out.setdefault(name, []).append((item.step, value))
    return out
