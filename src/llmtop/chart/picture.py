"""What a chart is before anything is coloured: code points and roles, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SERIES_COUNT = 6
"""Colours a chart tells lines apart by: more than six nobody can."""
FILL_SHADES = "abcd"
"""Shades of an area by row, from the top of the chart (a) to its bottom (d)."""

ROLES: tuple[str, ...] = (
    "blank", "text", "dim", "bright", "grid", "axis", "frame", "accent", "ok", "warning",
    "critical", "cursor",
    *(f"series-{i}" for i in range(1, SERIES_COUNT + 1)),
    *(f"raw-{i}" for i in range(1, SERIES_COUNT + 1)),
    *(f"fill-{i}-{shade}" for i in range(1, SERIES_COUNT + 1) for shade in FILL_SHADES),
)
"""Every role a chart uses; the theme gives each its colour."""
ROLE_INDEX = {role: index for index, role in enumerate(ROLES)}


@dataclass(frozen=True)
class Picture:
    """A finished chart."""

    chars: NDArray[np.uint32]
    """Shape (height, width): Unicode code points, each one terminal cell wide."""
    styles: NDArray[np.uint8]
    """Shape (height, width): indices into ROLES."""

    def lines(self) -> list[str]:
        """Return the rows as text."""
        return [_text(row) for row in self.chars]

    def runs(self, y: int) -> tuple[tuple[str, str], ...]:
        """Return row `y` as (text, role) runs, one a stretch of one role."""
        styles = self.styles[y]
        cuts = np.flatnonzero(styles[1:] != styles[:-1]) + 1
        edges = [0, *cuts.tolist(), len(styles)]
        text = _text(self.chars[y])
        return tuple((text[a:b], ROLES[styles[a]]) for a, b in pairwise(edges))


def _text(row: NDArray[np.uint32]) -> str:
    return row.astype("<u4").tobytes().decode("utf-32-le")


class Canvas:
    """A picture being drawn."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.chars = np.full((height, width), ord(" "), dtype=np.uint32)
        self.styles = np.zeros((height, width), dtype=np.uint8)

    def put(self, x: int, y: int, text: str, role: str) -> None:
        """Write text at a cell; what lies outside is cut."""
        if not 0 <= y < self.height:
            return
        if x < 0:
            text, x = text[-x:], 0
        text = text[: max(0, self.width - x)]
        if text:
            codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
            self.chars[y, x : x + len(codes)] = codes
            self.styles[y, x : x + len(codes)] = ROLE_INDEX[role]

    def picture(self) -> Picture:
        """Return what was drawn."""
        return Picture(self.chars, self.styles)


def shortened(text: str, cells: int) -> str:
    """Return text in at most `cells`, ending in an ellipsis where something was cut."""
    if len(text) <= cells:
        return text
    return text[: cells - 1] + "…" if cells > 0 else ""
