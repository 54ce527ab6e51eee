"""Hangs: no step for much longer than steps take, though the run was seen alive."""

from __future__ import annotations

import re

import numpy as np

from llmtop import metrics
from llmtop.rules.detectors.base import Finding, Look
from llmtop.rules.detectors.lives import LOGS
from llmtop.rules.detectors.settings import Stalled
from llmtop.rules.steps import USUAL, leading_series, step_times
from llmtop.store import Group, Run, Series

EVERY_SECONDS = 1.0
"""How often a run from which nothing came is looked at."""
HELD = 1024
"""Newest points that say what is usual."""
RECENT_MOVES = 64
ARRIVAL_SECONDS = 5.0
"""Points that came so lately may be the first of a history whose end is still on its way."""
LEAST_MOVES = 8
"""Moves between steps before it is known how long one takes."""
BUSY = re.compile(r"checkpoint|saving|saved|evaluat|validat|\beval\b", re.I)
"""Events after which a pause is to be expected."""
MOST_NAMED = 4
"""Ranks named in a message."""


class StalledDetector:
    """Tells when steps stop coming."""

    def __init__(self, settings: Stalled) -> None:
        self._settings = settings
        self._active: set[int] = set()
        self._looked: dict[int, float] = {}
        self._arrived: dict[int, tuple[int, float]] = {}
        """Points a run's leading series had, and since when."""
        self._kept_up: set[int] = set()
        """Runs of logs whose newest step was seen when it was new."""

    def look(self, look: Look) -> list[Finding]:
        """Compare the time since the newest step with what is usual."""
        found = []
        for run in look.runs:
            moment = look.moments[run.id]
            if 0 <= moment - self._looked.get(run.id, -EVERY_SECONDS) < EVERY_SECONDS and (
                run not in look.grown
            ):
                continue
            self._looked[run.id] = moment
            alive = run.id in look.followed and run.state in ("live", "stale")
            waited = self._waited(run, moment) if alive else None
            active = waited is not None
            if active != (run.id in self._active):
                (self._active.add if active else self._active.discard)(run.id)
                found.append(Finding(run, active, moment, step=run.step, value=waited,
                                     unit="seconds", detail=stopped(run) if active else ""))
        return found

    def _waited(self, run: Run, moment: float) -> float | None:
        """Return how long no step came, if that is too long."""
        settings = self._settings
        if run.total_steps and run.step >= run.total_steps - 1:
            return None
        lead = _lead(run)
        if lead is None:
            begun = any(one.n for one in run.series) or not run.started
            age = moment - run.started
            return age if not begun and age > settings.first_step else None
        count, since = self._arrived.get(run.id, (-1, moment))
        if count != lead.n:
            self._arrived[run.id] = lead.n, moment
            since = moment
        last = lead.last
        if last is None or moment - last.time <= settings.least:
            self._kept_up.add(run.id)
            return None
        if run.source in LOGS and run.id not in self._kept_up:
            # An old log that was copied a moment ago looks alive.
            return None
        newest = max(last.time, _newest_evaluation(run))
        waited = moment - newest
        points = lead.window(HELD)
        moves = step_times(points)
        if len(moves.step) < LEAST_MOVES or waited <= settings.least:
            return None
        if run.id not in self._active and moment - since < ARRIVAL_SECONDS:
            return None
        usual = float(np.median(moves.seconds[-RECENT_MOVES:]))
        # One pause may be an accident; two of a length are the run's habit.
        habit = float(np.sort(moves.passed)[-2])
        limit = max(settings.least, settings.factor * usual, settings.pause * habit)
        if _is_busy(run, last.time):
            limit = max(limit, settings.busy)
        return waited if waited > limit else None


def stopped(run: Run) -> str:
    """Return which ranks stand at which step, where they differ."""
    steps = {rank: state.step for rank, state in run.ranks.items()
             if state.attempt == run.attempt and state.step >= 0}
    if len(steps) < 2:
        return ""
    furthest, least = max(steps.values()), min(steps.values())
    if furthest == least:
        return f"all {len(steps)} ranks stopped at step {furthest:,}"
    behind = sorted(rank for rank, step in steps.items() if step == least)
    names = ", ".join(map(str, behind[:MOST_NAMED]))
    more = f" and {len(behind) - MOST_NAMED} more" if len(behind) > MOST_NAMED else ""
    word = "rank" if len(behind) == 1 else "ranks"
    return f"{word} {names}{more} stopped at step {least:,}, the furthest at {furthest:,}"


def _lead(run: Run) -> Series | None:
    found = [one for name in USUAL for one in run.find(name, attempt=run.attempt)
             if not one.derived]
    return (Group(found).newest_with_steps() if found else None) or leading_series(run)


def _newest_evaluation(run: Run) -> float:
    """Return when a series of an evaluation last got a point."""
    times = [
        one.last.time for one in run.series
        if one.last is not None
        and ((one.metric is not None and one.metric.name.startswith("eval_"))
             or metrics.group(one.name) in metrics.EVAL_PREFIXES)
    ]
    return max(times, default=0.0)


def _is_busy(run: Run, since: float) -> bool:
    return any(event.time >= since and BUSY.search(event.text) for event in run.events)
