"""One-row pictures: sparklines and thin bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCKS = " ▁▂▃▄▅▆"
_ASCII = " .:-=+*"


def sparkline(values: NDArray[np.float64], width: int, *, unicode: bool = True) -> str:
    """Return `width` cells, at most ▆ high; columns without data are blank.

    Args:
        values: any number of columns (2 a cell is usual), NaN = no data.
        width: cells.
        unicode: False draws with ASCII characters.
    """
    glyphs = _BLOCKS if unicode else _ASCII
    if width <= 0:
        return ""
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).any():
        return " " * width
    edges = np.linspace(0, len(values), width + 1).astype(int)
    cells = np.full(width, np.nan)
    for i in range(width):
        part = values[edges[i] : max(edges[i + 1], edges[i] + 1)]
        part = part[np.isfinite(part)]
        if len(part):
            cells[i] = part.mean()
    low, high = np.nanmin(cells), np.nanmax(cells)
    span = high - low
    levels = len(glyphs) - 2
    share = (cells - low) / span if span > 0 else np.where(np.isfinite(cells), 0.5, np.nan)
    return "".join(" " if np.isnan(s) else glyphs[1 + round(float(s) * levels)] for s in share)


def bar(fraction: float, width: int, *, unicode: bool = True) -> tuple[str, str]:
    """Return (filled, track) of a thin bar of `width` cells in half-cell steps."""
    fraction = min(max(fraction if np.isfinite(fraction) else 0.0, 0.0), 1.0)
    full, half = divmod(round(fraction * width * 2), 2)
    line, end = ("━", "╸") if unicode else ("=", "-")
    filled = line * full + (end if half else "")
    return filled, ("━" if unicode else ".") * (width - len(filled))
