"""Where panels stand: pure geometry, from a size and a number of panels to regions."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

MIN_WIDTH = 36
MIN_HEIGHT = 6
"""The smallest panel whose chart can still be read: four rows of braille under a title."""
BOX_HEIGHT = 9
"""From this height on a panel has room for a border of its own."""
LEAD = 0.62
"""Share of the first row that the first of two panels takes."""


class Box(NamedTuple):
    """A region in cells."""

    x: int
    y: int
    width: int
    height: int


def capacity(size: tuple[int, int], least: int = MIN_HEIGHT) -> int:
    """Return how many chart panels of `least` rows fit `size` (width, height) side by side."""
    width, height = size
    columns, lines = max(1, width // MIN_WIDTH), max(1, height // least)
    if lines == 1:
        return min(columns, 4)
    return _lead_row(columns) + (lines - 1) * min(columns, 4)


def _lead_row(columns: int) -> int:
    return 1 if columns <= 2 else 2


def row_counts(count: int, size: tuple[int, int]) -> list[int]:
    """Return how many panels each row holds; the first row holds the fewest, drawn largest."""
    width, height = size
    columns = max(1, min(4, width // MIN_WIDTH))
    count = min(count, capacity(size))
    least = BOX_HEIGHT if capacity(size, BOX_HEIGHT) >= count else MIN_HEIGHT
    lines = max(1, height // least)
    if count <= 1 or lines == 1:
        return [count] if count else []
    if count == 2:
        return [2] if columns >= 3 or height < 2 * MIN_HEIGHT else [1, 1]
    first = min(_lead_row(columns), count)
    rest = count - first
    per_row = min(columns, 3 if rest != 4 else 4 if columns >= 4 and height < 30 else 2)
    rows = min(lines - 1, -(-rest // per_row))
    while rest > rows * per_row and per_row < columns:
        per_row += 1
    counts = [first]
    for row in range(rows):
        take = min(per_row, -(-rest // (rows - row)))
        counts.append(take)
        rest -= take
    return [n for n in counts if n]


def tile(area: Box, counts: list[int]) -> list[Box]:
    """Return one region a panel, filling `area` row by row without a gap between them."""
    boxes: list[Box] = []
    y = area.y
    for index, count in enumerate(counts):
        rows_left = len(counts) - index
        height = -(-(area.y + area.height - y) // rows_left)
        boxes += [Box(x, y, w, height) for x, w in _columns(area, count, index == 0)]
        y += height
    return boxes


def grid(area: Box, count: int, min_height: int = MIN_HEIGHT + 2) -> list[Box]:
    """Return equal regions for `count` panels; those that do not fit lie below the area."""
    columns = max(1, min(4, area.width // MIN_WIDTH, count))
    lines = -(-count // columns) if count else 0
    fitting = max(1, min(lines, area.height // min_height))
    boxes = []
    for index in range(count):
        row, column = divmod(index, columns)
        x, width = _columns(area, columns, lead=False)[column]
        top, below = (area.height * r // fitting for r in (row, row + 1))
        boxes.append(Box(x, area.y + top, width, below - top))
    return boxes


def _columns(area: Box, count: int, lead: bool) -> list[tuple[int, int]]:
    if lead and count == 2:
        first = round(area.width * LEAD)
        return [(area.x, first), (area.x + first, area.width - first)]
    edges = [area.x + round(area.width * i / count) for i in range(count + 1)]
    return [(a, b - a) for a, b in pairwise(edges)]
