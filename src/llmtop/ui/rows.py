"""Rows of (text, role) runs: how panels say what to draw, without a word of Textual."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from llmtop.errors import printable

Run = tuple[str, str]
"""A stretch of text and the theme role that colours it."""
Row = tuple[Run, ...]

_SINGLE = re.compile(
    "[ -~\xa1-\xac\xae-\xff\u2026\u2190-\u2193\u2500-\u25fc\u2800-\u28ff]*"
).fullmatch
"""Letters, lines, blocks and braille, of which nearly everything drawn is made: printable, and one
cell each."""


def width(row: Iterable[Run]) -> int:
    """Return how many terminal cells a row takes."""
    return sum(text_cells(text) for text, _ in row)


def text_cells(text: str) -> int:
    """Return how many terminal cells a text takes."""
    return len(text) if _SINGLE(text) else cell_len(text)


def clip(row: Iterable[Run], cells: int) -> Row:
    """Return the row cut to at most `cells`, with an ellipsis where something was lost."""
    return _cut(row, cells)[0]


def _cut(row: Iterable[Run], cells: int) -> tuple[Row, int]:
    """Return the row cut to at most `cells`, and how many it takes."""
    whole = tuple(run for run in row if run[0])
    text = "".join([text for text, _ in whole])
    if len(text) <= cells and _SINGLE(text):
        return whole, len(text)
    # What servers, logs and file names say ends here; it must not move the cursor.
    runs = [(printable(text), role) for text, role in whole]
    taken = width(runs)
    if taken <= cells:
        return tuple(runs), taken
    if cells <= 0:
        return (), 0
    out: list[Run] = []
    left = cells - 1
    for text, role in runs:
        size = text_cells(text)
        if size > left:
            cut = set_cell_size(text, max(0, left)).rstrip() + "…"
            out.append((cut, role))
            break
        out.append((text, role))
        left -= size
    return tuple(out), width(out)


def fit(row: Iterable[Run], cells: int, fill: str = " ", role: str = "blank") -> Row:
    """Return the row clipped or filled to exactly `cells`."""
    cut, taken = _cut(row, cells)
    return (*cut, (fill * (cells - taken), role)) if taken < cells else cut


def spread(left: Sequence[Run], right: Sequence[Run], cells: int, gap: int = 2) -> Row:
    """Return `left` and `right` at the two ends of `cells`; the left end gives way first."""
    end, taken = _cut(right, cells)
    room = cells - taken
    start, used = _cut(left, max(0, room - gap)) if room > gap else ((), 0)
    return (*start, (" " * (room - used), "blank"), *end)


def plain(rows: Iterable[Iterable[Run]]) -> str:
    """Return rows as text, for golden tests."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)
