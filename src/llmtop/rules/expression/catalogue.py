"""The functions of a series and the facts of a run: one table each, for reader and help alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmtop.rules.expression.tokens import Dimension


@dataclass(frozen=True, slots=True)
class Function:
    """What a function is and what it takes."""

    about: str
    dimension: Dimension | Literal["same"] = "same"
    """Of what it returns; "same" as the series."""
    window: Literal["may", "must", "never"] = "may"


FUNCTIONS: dict[str, Function] = {
    "last": Function("the newest value, NaN if that is what was logged"),
    "first": Function("the oldest value; without a window, of the whole run"),
    "mean": Function("the mean of the finite values"),
    "min": Function("the smallest finite value"),
    "max": Function("the largest finite value"),
    "sum": Function("the sum of the finite values: what a counter gained"),
    "median": Function("the median of the finite values"),
    "ema": Function("an exponential mean whose weights have the window's middle of mass: of 20 "
                    "points, each counts 19/21 of the next"),
    "std": Function("the standard deviation of the finite values"),
    "best": Function("the smallest or largest value, whichever is better for this metric"),
    "delta": Function("a counter's gain, a gauge's newest minus its oldest value", "same", "must"),
    "rate": Function("a counter's gain a second; of a gauge, its change a second", "", "must"),
    "slope": Function("the straight line's rise, a second or, with a window of points, a point",
                      "", "must"),
    "count": Function("how many points, NaN and infinities included", ""),
    "nonfinite": Function("how many points are NaN or infinite", ""),
    "age": Function("seconds since the newest point", "seconds", "never"),
    "zscore": Function("how far the newest value is from the median of those before it, in robust "
                       "standard deviations (1.4826 MAD)", ""),
    "rank_ratio": Function("the mean of this rank over the median of all ranks' means; in a rule "
                           "per run, that of the rank furthest above", "", "must"),
}  # fmt: skip
"""Besides these p50 ... p99.9, percentiles of the finite values, and absent(metric, window)."""

FACTS: dict[str, Dimension] = {
    "silence": "seconds", "run_age": "seconds", "restarts": "", "step": "",
    "device_memory": "bytes",
}  # fmt: skip
DIMENSIONS: dict[str, Dimension] = {
    "seconds": "seconds", "bytes": "bytes", "fraction": "fraction", "ratio": "fraction",
    "percent": "fraction",
}  # fmt: skip
"""Unit of a metric -> what it measures; of others nothing is checked."""
