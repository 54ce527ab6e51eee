"""Which series tells a run's steps, and how long a step takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.store import Run, Series
from llmtop.store.points import Points

PAUSE_FACTOR = 20.0
"""A gap of this many usual step times may be a pause (a closed lid, a job that was suspended)."""
LEAST_PAUSE_SECONDS = 60.0
"""What is shorter is a slow step (an evaluation, a checkpoint, a data stall), to be seen and to be
reckoned with."""
USUAL = ("loss", "learning_rate", "grad_norm")
"""What training loops log every step, most usual first."""
MAX_LOOKED_AT = 512
"""Newest series of a run looked at when it logs none of USUAL."""


class StepTimes(NamedTuple):
    """Moves from one step forward to a later one; every array of shape (n,)."""

    step: NDArray[np.int64]
    """The step reached."""
    time: NDArray[np.float64]
    """When, unix seconds."""
    gained: NDArray[np.int64]
    """Steps moved, at least 1."""
    passed: NDArray[np.float64]
    """Seconds it took."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Seconds a step."""
        return self.passed / self.gained

    def pick(self, at: NDArray[np.bool_]) -> StepTimes:
        """Return the moves where `at` is true."""
        return StepTimes(self.step[at], self.time[at], self.gained[at], self.passed[at])


def leading_series(run: Run) -> Series | None:
    """Return the series of the current attempt whose points tell its steps best.

    A usual one of the lowest rank that has it; else, of the newest series, that with most points.
    """
    for name in USUAL:
        found = [series for series in run.find(name, attempt=run.attempt) if _tells(series)]
        if found:
            return min(found, key=lambda series: (series.rank or 0, -series.n))
    found = [
        series for series in run.series[-MAX_LOOKED_AT:]
        if series.attempt == run.attempt and series.kind == "gauge" and _tells(series)
    ]  # fmt: skip
    return max(found, key=lambda s: (s.n, -(s.rank or 0), -s.id), default=None)


def _tells(series: Series) -> bool:
    return not series.derived and series.extent("step") is not None


def step_times(points: Points) -> StepTimes:
    """Return the moves forward in points that are in order of arrival; others say nothing."""
    known = points.step >= 0
    step, time = points.step[known], points.time[known]
    moves = StepTimes(step[1:], time[1:], np.diff(step), np.diff(time))
    return moves.pick((moves.gained > 0) & (moves.passed > 0))


def without_pauses(moves: StepTimes, usual: float) -> StepTimes:
    """Return the moves that took no longer a step than a pause.

    That is PAUSE_FACTOR times `usual` seconds, and LEAST_PAUSE_SECONDS at the least.
    """
    return moves.pick(moves.seconds <= max(usual * PAUSE_FACTOR, LEAST_PAUSE_SECONDS))
