"""The rasteriser: lines and envelopes over dot columns become braille cells.

A cell holds 2 x 4 dots. In every dot column the dots from `first` to `last` row are lit, and
neighbouring columns are joined, so that no spike is lost and a line is unbroken. A column
without data (NaN) lights nothing and joins nothing, so gaps stay gaps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
Rows = NDArray[np.int32]
Bits = NDArray[np.uint8]

BRAILLE = 0x2800
DOTS_A_CELL = 4
"""Dot rows in a cell; there are two dot columns."""
CHEQUER = 0x95
"""Every second dot of a cell, the same in all cells because its four rows are an even number."""
LARGE = 1e300
"""Numbers beyond are made smaller before they are subtracted."""
_LEFT = np.array([0x00, 0x01, 0x03, 0x07, 0x47], dtype=np.uint8)
_RIGHT = np.array([0x00, 0x08, 0x18, 0x38, 0xB8], dtype=np.uint8)
"""Bits of the upper k dots in the left and in the right column of a cell, k = 0..4."""


class Spans(NamedTuple):
    """Lit dot rows of each dot column, 0 at the top; columns without data have last < first."""

    first: Rows
    last: Rows


def spans(top: F8, bottom: F8, height: int) -> Spans:
    """Return the spans between two edges, in dot rows (NaN = no data), neighbours joined.

    Each of two neighbours that lie apart is stretched half of the way; where they touch, the
    half way lies inside both and nothing changes.
    """
    seen = np.isfinite(top) & np.isfinite(bottom)
    first = np.where(seen, np.minimum(top, bottom), height).astype(np.int32)
    last = np.where(seen, np.maximum(top, bottom), -1).astype(np.int32)
    both = seen[1:] & seen[:-1]
    up, down = (first[:-1] + last[1:]) // 2, (last[:-1] + first[1:]) // 2
    joined = Spans(first.copy(), last.copy())
    np.minimum(joined.first[:-1], up + 1, out=joined.first[:-1], where=both)
    np.maximum(joined.last[1:], up, out=joined.last[1:], where=both)
    np.maximum(joined.last[:-1], down, out=joined.last[:-1], where=both)
    np.minimum(joined.first[1:], down + 1, out=joined.first[1:], where=both)
    return joined


def cells(lit: Spans, height: int) -> Bits:
    """Return the braille bits of `height` rows of cells, shape (height, columns // 2)."""
    tops = np.arange(0, height * DOTS_A_CELL, DOTS_A_CELL, dtype=np.int32)[:, None]
    start = np.minimum(np.maximum(lit.first - tops, 0), DOTS_A_CELL)
    stop = np.minimum(np.maximum(lit.last + 1 - tops, 0), DOTS_A_CELL)
    width = start.shape[1] // 2 * 2
    left = _LEFT[stop[:, 0:width:2]] & ~_LEFT[start[:, 0:width:2]]
    right = _RIGHT[stop[:, 1:width:2]] & ~_RIGHT[start[:, 1:width:2]]
    bits: Bits = left | right
    return bits


def bridged(values: F8, longest: int) -> F8:
    """Return values with holes of at most `longest` columns filled on a straight line."""
    seen = np.flatnonzero(np.isfinite(values))
    if len(seen) < 2 or len(seen) == len(values):
        return values
    place = np.arange(len(values))
    after = np.minimum(np.searchsorted(seen, place), len(seen) - 1)
    holes = np.diff(seen, prepend=seen[0]) - 1
    # The difference of two values must be a number too.
    size = 4.0 if np.abs(values[seen]).max() > LARGE else 1.0
    out = np.interp(place, seen, values[seen] / size, left=np.nan, right=np.nan) * size
    out[(holes[after] > longest) & (place != seen[after])] = np.nan
    out[seen] = values[seen]
    return out
