"""Throughput and step time worked out from steps and times, where a run does not log them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmtop.metrics import BY_NAME
from llmtop.rules.steps import StepTimes, leading_series, step_times, without_pauses
from llmtop.samples import Samples
from llmtop.store import Run, Series, Store
from llmtop.store.points import Points, joined
from llmtop.store.runs import HOST_PHASE

STEP_TIME = "step_time_seconds"
RATES = {"tokens_per_second": "tokens_per_step", "samples_per_second": "samples_per_step"}
"""Derived metric -> the tag that says how much a step is worth."""
FIRST_POINTS = 4
"""Points before anything is derived: by then a run has logged what it logs itself."""
USUAL_MOVES = 64
"""Newest moves whose median says what a usual step takes."""


@dataclass(slots=True)
class _Lead:
    """Where the derivation of one run stands."""

    attempt: int
    series: Series
    seen: int = 0
    """Points of it already used."""
    tail: Points | None = None
    """The newest of them that has a step."""
    usual: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    made: dict[str, Series] = field(default_factory=dict)


class Derivation:
    """Adds derived series to the store, from the new points of each run's leading series."""

    def __init__(self) -> None:
        self._leads: dict[int, _Lead] = {}
        """By run id; only the current attempt grows."""

    def derive(self, store: Store, changed: frozenset[int], now: float) -> frozenset[int]:
        """Follow the series that changed; return the ids of the derived series that grew."""
        grew = False
        for run in {store.series[number].run for number in changed}:
            if run.phase not in ("serve", HOST_PHASE) and run.tags.get("steps") != "record":
                grew |= self._follow(store, run)
        return store.commit(now) if grew else frozenset()

    def _follow(self, store: Store, run: Run) -> bool:
        lead = self._lead(run)
        if lead is None or lead.series.n - lead.seen <= 0:
            return False
        points = lead.series.window(lead.series.n - lead.seen)
        lead.seen = lead.series.n
        points = points.pick(points.step >= 0)
        if not len(points.step):
            return False
        if lead.tail is not None:
            points = joined([lead.tail, points])
        lead.tail = points.pick(slice(-1, None))
        moves = step_times(points)
        if not len(moves.step):
            return False
        lead.usual = np.concatenate([lead.usual, moves.seconds])[-USUAL_MOVES:]
        moves = without_pauses(moves, float(np.median(lead.usual)))
        seconds = moves.seconds
        wanted = {STEP_TIME: seconds}
        for name, tag in RATES.items():
            worth = run.tags.get(tag)
            if isinstance(worth, (int, float)) and 0 < worth < np.inf:
                wanted[name] = worth / seconds
        grew = [
            _append(store, run, lead, name, moves, values)
            for name, values in wanted.items() if not _is_logged(run, name)
        ]  # fmt: skip
        return any(grew)

    def _lead(self, run: Run) -> _Lead | None:
        lead = self._leads.get(run.id)
        if lead is None or lead.attempt != run.attempt:
            series = leading_series(run)
            if series is None or series.n < FIRST_POINTS:
                return None
            lead = self._leads[run.id] = _Lead(run.attempt, series)
        return lead


def _append(
    store: Store, run: Run, lead: _Lead, name: str, moves: StepTimes, values: NDArray[np.float64]
) -> bool:
    """Buffer points of a derived series, made if it is the first time; False without room."""
    series = lead.made.get(name)
    if series is None:
        metric = BY_NAME[name]
        series = store.add_series(
            run, name, unit=metric.unit, better=metric.better, rank=lead.series.rank
        )
        if series is None:
            return False
        lead.made[name] = series
    ids = np.full(len(values), series.id, dtype=np.uint32)
    store.append(Samples(ids, moves.time, moves.step, values))
    return len(values) > 0


def _is_logged(run: Run, name: str) -> bool:
    return any(not series.derived for series in run.find(name))
