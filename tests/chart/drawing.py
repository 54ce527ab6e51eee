"""What the tests of the charts draw with: numbers of every sort, dots read back, pictures."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llmtop.chart import ROLES, Area, Picture, Plot, plot, plot_area
from llmtop.chart.braille import BRAILLE

NAN, INF = float("nan"), float("inf")
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
anything = st.one_of(
    st.floats(), st.floats(-100, 100),
    st.sampled_from([0.0, -0.0, 1.0, NAN, INF, -INF, LARGEST, -LARGEST, SMALLEST, 1e-300]),
)
"""Numbers as runs log them, the worst included."""
finite = st.one_of(
    st.floats(-100, 100), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, LARGEST, -LARGEST, SMALLEST]),
)


def columns(size: int | st.SearchStrategy[int], elements: st.SearchStrategy[float] = anything):
    """Arrays of float64."""
    return arrays(np.float64, size, elements=elements, fill=st.nothing())


LEFT, RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
"""Bits of the dots of a cell from the top down, as the Unicode standard numbers them."""


def dots(picture: Picture, area: Area) -> np.ndarray:
    """Return which dots are lit, shape (4 * area.height, area.dots)."""
    cells = picture.chars[: area.height, area.left : area.left + area.width]
    bits = np.where((cells >= BRAILLE) & (cells < BRAILLE + 256), cells - BRAILLE, 0)
    lit = np.zeros((4 * area.height, area.dots), dtype=bool)
    for side, masks in enumerate((LEFT, RIGHT)):
        for row, mask in enumerate(masks):
            lit[row::4, side::2] = bits & mask > 0
    return lit


def bare(**fields: object) -> Plot:
    """A chart without labels at its sides, so that all of its width is drawing area."""
    return Plot(**{"low": 0.0, "high": 1.0, "y_labels": 0, "end_labels": 0, **fields})


def bare_area(width: int, height: int) -> Area:
    return plot_area(width, height, 0, 0)


def drawn(spec: Plot, width: int, height: int, *, unicode: bool = True) -> str:
    """Return the chart as text, without the spaces at the ends of its rows."""
    return trimmed(plot(spec, width, height, unicode=unicode).lines())


def trimmed(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines)


def golden(text: str) -> str:
    """Return a picture written in a test, without its indent and the lines it is quoted by."""
    lines = dedent(text).split("\n")
    return trimmed(lines[1:-1])


def roles(picture: Picture) -> set[str]:
    return {ROLES[index] for index in np.unique(picture.styles)}


def roles_of_row(picture: Picture, row: int) -> list[tuple[str, str]]:
    """Return the runs of a row that show something."""
    return [(text, role) for text, role in picture.runs(row) if text.strip()]
