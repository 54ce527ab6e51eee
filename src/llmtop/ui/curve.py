"""One line of a chart, as panels and titles read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

MOST_CURVES = 6
"""Curves one chart can tell apart by colour."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart and what belongs to it; arrays over the grid's columns."""

    name: str
    colour: int
    line: F8
    """Smoothed values, or a percentile; what the title and the crosshair read."""
    low: F8 | None = None
    high: F8 | None = None
    bad: NDArray[np.bool_] | None = None
    points: bool = False
    faint: bool = False
    latest: float | None = None
    """The newest value as logged, NaN included."""
    mark: str = ""
    """Of the newest value: "≈" estimated from a server's buckets, "≥" beyond them, "~" our own;
    "sum " of all ranks."""
    bucket: tuple[float, float] | None = None
    """Of an estimate: the bounds it lies between, where those are far apart."""
    mean: float = float("nan")
    """Of the observations that the newest percentiles are of."""
    spread: tuple[float, float] | None = None
    """Of the median over ranks: the least and the greatest of their newest values."""
    among: Curve | None = None
    """Of one rank: the median over all, beside which it is shown."""
