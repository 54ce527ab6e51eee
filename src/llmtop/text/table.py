"""Aligned columns in plain text, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

INDENT, GAP = "  ", "  "
LEAST_NAME = 16
"""Cells the first column keeps, as long as there is another to give up for it."""


def cells(text: str) -> int:
    """Return how many terminal cells a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def clip(text: str, room: int) -> str:
    """Return as much of `text` as fits into `room` cells, an ellipsis at its end if it is cut."""
    if cells(text) <= room:
        return text
    while text and cells(text) >= room:
        text = text[:-1]
    return text + "…" if room > 0 else ""


def table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return a line a row: the first column to the left, the others to the right.

    Args:
        rows: all of one length, most wanted columns first: those at the end go where it is narrow.
        width: cells of a line.
    """
    sizes = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    name, values = sizes[0], sizes[1:]
    room = width - len(INDENT)
    while values and sum(values) + len(GAP) * len(values) + min(name, LEAST_NAME) > room:
        values.pop()
    name = max(0, min(name, room - sum(values) - len(GAP) * len(values)))
    lines = []
    for first, *others in rows:
        first = clip(first, name)
        parts = [first + " " * (name - cells(first))]
        parts += [
            " " * (size - cells(text)) + text for text, size in zip(others, values, strict=False)
        ]
        lines.append((INDENT + GAP.join(parts)).rstrip())
    return lines


def flow(parts: Sequence[str], width: int) -> list[str]:
    """Return parts one after the other, broken between them and indented where they must be."""
    lines: list[str] = []
    for part in parts:
        if lines and cells(lines[-1]) + len(GAP) + cells(part) <= width:
            lines[-1] += GAP + part
        else:
            lines.append(clip((INDENT if lines else "") + part, width))
    return lines
