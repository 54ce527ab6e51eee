"""What moved most in the other series of a run around a step: where to look for the cause."""

from __future__ import annotations

import math

import numpy as np

from llmtop.rules.stretches import ROBUST
from llmtop.store import Run, Series

WINDOW = 64
"""Points before the moment that say what is usual."""
LEAST = 16
"""Points below which nothing is usual yet."""
AFTER = 2
"""Points beyond the moment looked at: what is logged a step later belongs to it."""
MOVED = 4.0
"""Robust deviations below which a series did not move: noise reaches 3 in one of 370 points."""
LEAST_SPREAD = 0.01
"""Of the usual value: a constant that moves is measured in hundredths of it."""
MOST = 3
MAX_SERIES = 512
"""Series looked at: 10 ms."""
HELD = 1024
"""Raw points held of a gauge; a moment that lies further back cannot be compared."""
LARGEST = 999.0


def what_changed(
    run: Run, metrics: tuple[str, ...], step: int, time: float, rank: int | None = None
) -> tuple[tuple[str, float], ...]:
    """Return names and robust z-scores of the series that moved most, at most three.

    Args:
        run: whose series are looked at, of its current attempt.
        metrics: what need not be told, because it is what fired.
        step: the moment, -1 where there are no steps.
        time: the moment, unix seconds.
        rank: whose series are looked at where several ranks log the same; None: the lowest's.
    """
    found: dict[str, float] = {}
    looked_at = 0
    for series in run.series:
        known = series.metric.name if series.metric else series.name
        if (
            known in metrics or series.name in metrics or series.kind != "gauge"
            or series.attempt != run.attempt or series.n < LEAST
            or (rank is not None and series.rank not in (None, rank))
        ):  # fmt: skip
            continue
        looked_at += 1
        if looked_at > MAX_SERIES:
            break
        z = moved(series, step, time)
        if z is not None and abs(z) >= MOVED:
            found.setdefault(series.name, z)
    return tuple(sorted(found.items(), key=lambda item: -abs(item[1]))[:MOST])


def moved(series: Series, step: int, time: float) -> float | None:
    """Return how far a series was from its usual values at a moment; None where it cannot be told.

    A value that is not finite where those before it were is infinitely far.
    """
    points = series.window(HELD)
    stepped = step >= 0 and bool((points.step >= 0).any())
    x, at = (points.step, float(step)) if stepped else (points.time, time)
    here = int(np.searchsorted(x, at)) if stepped else int(np.searchsorted(x, at, side="left"))
    before = points.value[max(0, here - WINDOW) : here]
    before = before[np.isfinite(before)]
    moment = points.value[here : here + 1 + AFTER]
    if len(before) < LEAST or not len(moment):
        return None
    if not np.isfinite(moment).all():
        return math.inf
    middle = float(np.median(before))
    spread = ROBUST * float(np.median(np.abs(before - middle)))
    # What hardly varies is not far off because of a trifle.
    spread = max(spread, abs(middle) * LEAST_SPREAD, 1e-12)
    off = (moment - middle) / spread
    furthest = float(off[np.argmax(np.abs(off))])
    return max(-LARGEST, min(LARGEST, furthest))
