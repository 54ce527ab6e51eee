"""One-row pictures: sparklines and thin bars."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLOCKS = " ▁▂▃▄▅▆"
"""No higher than ▆, so that the rows of a table stay apart."""
ASCII = " .:-=+*"


def sparkline(
    values: NDArray[np.float64],
    width: int,
    *,
    unicode: bool = True,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Return `width` cells, each the mean of its share of the values; blank without data.

    Args:
        values: any number of columns, NaN = no data.
        width: cells.
        unicode: False draws with ASCII characters.
        low: value of the lowest glyph; None = the lowest cell.
        high: value of the highest glyph; None = the highest cell.
    """
    glyphs = BLOCKS if unicode else ASCII
    values = np.asarray(values, dtype=np.float64)
    seen = np.isfinite(values)
    if width <= 0 or not seen.any():
        return " " * max(0, width)
    columns, cells = len(values), np.arange(width)
    first = cells * columns // width
    last = np.maximum((cells + 1) * columns // width, first + 1)
    count = np.concatenate([[0], np.cumsum(seen)])
    size = float(np.abs(values[seen]).max()) or 1.0
    total = np.concatenate([[0.0], np.cumsum(np.where(seen, values / size, 0.0))])
    n = count[last] - count[first]
    with np.errstate(invalid="ignore"):
        mean = (total[last] - total[first]) / np.where(n, n, np.nan)
    bottom = float(np.nanmin(mean)) if low is None else low / size
    top = float(np.nanmax(mean)) if high is None else high / size
    # Cumulative sums leave rounding noise on constant data; it is not a slope.
    share = (mean - bottom) / (top - bottom) if top - bottom > 1e-9 else mean * 0 + 0.5
    level = 1 + np.rint(np.clip(share, 0, 1) * (len(glyphs) - 2))
    return "".join(glyphs[int(k)] for k in np.where(n, level, 0))


def bar(fraction: float, width: int, *, unicode: bool = True) -> tuple[str, str]:
    """Return (filled, track) of a thin bar of `width` cells in half-cell steps; NaN is empty."""
    width = max(0, width)
    share = min(max(fraction, 0.0), 1.0) if math.isfinite(fraction) else 0.0
    full, half = divmod(round(share * width * 2), 2)
    line, end, track = ("━", "╸", "━") if unicode else ("=", "-", ".")
    filled = line * full + end * half
    return filled, track * (width - len(filled))
