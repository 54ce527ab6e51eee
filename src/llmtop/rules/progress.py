"""How far a run is and when it will end, from its recent steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llmtop.rules.steps import leading_series, step_times, without_pauses
from llmtop.store import Run

FILE = "file"
"""The source whose runs have gone as far as they say, whenever that is read."""
RECENT_SECONDS = 600.0
"""The speed is that of the last ten minutes: a day-old warm-up says nothing of tonight."""
RECENT_POINTS = 1024
"""At most so many points: what a series keeps raw."""
FEWEST_MOVES = 2
USUAL_MOVES = 64
"""The newest moves say what a usual step takes: a fast beginning must not make the rest a pause."""


@dataclass(frozen=True, slots=True)
class Progress:
    """None where it is not known."""

    fraction: float | None
    """Share of total_steps that is done, 0..1."""
    eta_seconds: float | None
    """Time left at the recent speed; an estimate."""
    steps_per_second: float | None


def progress(run: Run, now: float) -> Progress:
    """Return the share of total_steps done, the time left and the recent speed."""
    speed = steps_per_second(run)
    if not run.total_steps or run.step < 0:
        return Progress(None, None, speed)
    done = min(run.step + 1, run.total_steps)
    fraction = done / run.total_steps
    if not speed or (run.source == FILE and run.state != "live"):
        return Progress(fraction, None, speed)
    # Between two points the time left runs down; in a run that stands still it must not.
    since = min(max(0.0, now - run.last_seen), 1 / speed) if run.state == "live" else 0.0
    return Progress(fraction, max(0.0, (run.total_steps - done) / speed - since), speed)


def elapsed(run: Run, now: float) -> float | None:
    """Return the seconds a run has taken so far, or took; None where its log does not tell."""
    if run.source != FILE:
        over = run.state in ("failed", "died", "finished")
        return max(0.0, (run.last_seen if over else now) - run.started)
    newest = max((series.last.time for series in run.series if series.last), default=run.started)
    return newest - run.started if newest > run.started else None


def steps_per_second(run: Run) -> float | None:
    """Return the speed over the last RECENT_SECONDS: steps gained over time passed.

    Evaluations and checkpoints slow it down, as they will slow down what is to come; a pause of
    many usual steps (an hour's suspend) is left out.
    """
    series = leading_series(run)
    if series is None:
        return None
    points = series.window(RECENT_POINTS)
    newest = points.time.max(initial=-np.inf)
    moves = step_times(points.pick(points.time >= newest - RECENT_SECONDS))
    if len(moves.step) < FEWEST_MOVES:
        moves = step_times(points)
    if len(moves.step) < FEWEST_MOVES:
        return None
    moves = without_pauses(moves, float(np.median(moves.seconds[-USUAL_MOVES:])))
    return float(moves.gained.sum() / moves.passed.sum())
