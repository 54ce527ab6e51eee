"""The same picture for terminals without Unicode: two rows a cell, in ASCII."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmtop.chart.braille import BRAILLE
from llmtop.chart.picture import ROLES, Picture

_UPPER, _LOWER = 0x1B, 0xE4
_LINE = np.array([ord(c) for c in " '.:"], dtype=np.uint32)
_RAW = np.array([ord(c) for c in " `,;"], dtype=np.uint32)
"""Glyphs by which halves of a cell are lit: none, upper, lower, both."""
_IS_RAW = np.array([role.startswith("raw-") for role in ROLES])
_IS_FILL = np.array([role.startswith("fill-") for role in ROLES])
_OTHERS = {
    "┈": ".", "╌": "-", "┊": ":", "│": "|", "•": "o", "×": "x", "╴": "-", "…": "~", "◆": "*",
    "▲": "^", "▼": "v", "●": "@", "○": "o", "✓": "v", "·": ".", "µ": "u", "°": "'", "−": "-",
}
_REST = ord("?")


def plain(picture: Picture) -> Picture:
    """Return the picture in ASCII; areas are left out, as they could not be told from lines."""
    chars, styles = picture.chars, picture.styles
    bits = chars - np.uint32(BRAILLE)
    dots = bits < 0x100
    halves = (bits & _UPPER > 0).astype(np.uint8) + 2 * (bits & _LOWER > 0).astype(np.uint8)
    drawn = np.where(_IS_RAW[styles], _RAW[halves], _LINE[halves])
    out: NDArray[np.uint32] = np.where(dots, np.where(_IS_FILL[styles], ord(" "), drawn), chars)
    for code in np.unique(out[out > 0x7E]).tolist():
        out[out == code] = ord(_OTHERS.get(chr(code), "")) if chr(code) in _OTHERS else _REST
    return Picture(out.astype(np.uint32), styles)
