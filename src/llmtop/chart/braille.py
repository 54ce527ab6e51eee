"""The rasteriser: lines and envelopes over dot columns become braille cells.

A cell holds 2 x 4 dots. Envelopes are filled from minimum to maximum in every dot column and
joined to their neighbours, so that no spike is ever lost and a line is unbroken; a NaN column
draws nothing and joins nothing, so gaps stay gaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
Dots = NDArray[np.bool_]

BRAILLE = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint32)


def rows_of(values: F8, low: float, high: float, height: int, log: bool = False) -> F8:
    """Return dot rows (0 top .. height-1 bottom, clipped) for values; NaN where not finite."""
    if log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log10(values)
        low, high = np.log10(low), np.log10(high)
    span = high - low if high > low else 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        row = (high - values) / span * (height - 1)
    row = np.clip(row, 0, height - 1)
    return np.where(np.isfinite(values), np.rint(row), np.nan)


def envelope(top: F8, bottom: F8, height: int, joined: bool = True) -> Dots:
    """Return the dots (height, width) between `top` and `bottom` rows of each column.

    Neighbouring columns are joined by stretching each to half way of the step between them.
    """
    ok = np.isfinite(top) & np.isfinite(bottom)
    first = np.where(ok, np.minimum(top, bottom), height)
    last = np.where(ok, np.maximum(top, bottom), -1)
    if joined and len(top) > 1:
        both = ok[1:] & ok[:-1]
        up_gap = both & (first[:-1] > last[1:] + 1)
        down_gap = both & (last[:-1] < first[1:] - 1)
        middle_up = (first[:-1] + last[1:]) // 2
        middle_down = (last[:-1] + first[1:]) // 2
        left_first, right_last = first[:-1].copy(), last[1:].copy()
        left_first[up_gap] = middle_up[up_gap] + 1
        right_last[up_gap] = middle_up[up_gap]
        left_last, right_first = last[:-1].copy(), first[1:].copy()
        left_last[down_gap] = middle_down[down_gap]
        right_first[down_gap] = middle_down[down_gap] + 1
        first, last = first.copy(), last.copy()
        first[:-1] = np.minimum(first[:-1], left_first)
        last[:-1] = np.maximum(last[:-1], left_last)
        first[1:] = np.minimum(first[1:], right_first)
        last[1:] = np.maximum(last[1:], right_last)
    rows = np.arange(height)[:, None]
    return (rows >= first[None, :]) & (rows <= last[None, :])


def bridged(values: F8, longest: int) -> F8:
    """Return values with holes of at most `longest` columns filled on a straight line."""
    ok = np.flatnonzero(np.isfinite(values))
    if len(ok) < 2 or len(ok) == len(values):
        return values
    out = np.interp(np.arange(len(values)), ok, values[ok])
    gaps = np.diff(ok) - 1
    for at in np.flatnonzero(gaps > longest):
        out[ok[at] + 1 : ok[at + 1]] = np.nan
    out[: ok[0]] = np.nan
    out[ok[-1] + 1 :] = np.nan
    return out


def area(top: F8, height: int) -> Dots:
    """Return every second dot, in a chequer, below `top` rows."""
    rows = np.arange(height)[:, None]
    columns = np.arange(len(top))[None, :]
    below = rows > np.where(np.isfinite(top), top, height)[None, :]
    return below & (rows % 2 == 0) & ((columns + rows // 2) % 2 == 0)


def cells(dots: Dots) -> NDArray[np.uint32]:
    """Return the braille bits (0..255) of each cell; `dots` is (4 h, 2 w)."""
    height, width = dots.shape[0] // 4, dots.shape[1] // 2
    grid = dots[: height * 4, : width * 2].reshape(height, 4, width, 2)
    bits: NDArray[np.uint32] = (grid * _BITS[None, :, None, :]).sum(axis=(1, 3), dtype=np.uint32)
    return bits
