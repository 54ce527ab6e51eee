"""A run's ranks side by side: where each is, how fast, and which are in trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.rules.derive import STEP_TIME
from llmtop.rules.steps import USUAL
from llmtop.store import Group, Run, Series
from llmtop.store.arena import F8, I8

DIED, HUNG, STALE, SLOW, ABSENT, SLOWER, LIVE, FINISHED = range(8)
"""What a rank is, worst first: of several in one place, the worst is shown."""
ALIVE = (HUNG, SLOW, SLOWER, LIVE)
_STATES = {"live": LIVE, "restarted": LIVE, "stale": STALE, "finished": FINISHED, "died": DIED,
           "failed": DIED}
MOST_RANKS = 1 << 14
"""Ranks that are known by number alone: a store's sessions; of more, those that were seen."""
SLOW_SPEED = 0.75
"""Of the median's speed; the share that NVRx's identify_stragglers takes of the fastest."""
SLOWER_SPEED = 0.9
HUNG_SECONDS = 10.0
"""The shortest stand-still that is told while others go on."""
HUNG_GAPS = 5.0
"""A fleet that logs once in g seconds has a hung rank after this many g."""
POINTS = 16
"""Newest points that say how fast a rank is."""
FEWEST = 2
"""Ranks from which on they are compared."""


class Pace(NamedTuple):
    """The series by which ranks are compared; None where no rank logs such a thing."""

    steps: Group | None
    """Series with steps, one a rank."""
    seconds: Group | None
    """What each rank says a step takes it."""


@dataclass(frozen=True)
class Fleet:
    """The ranks of a run in ascending order; every array of shape (ranks,)."""

    rank: I8
    state: NDArray[np.int8]
    """DIED ... FINISHED."""
    step: I8
    """Largest step of its attempt, -1 = none."""
    speed: F8
    """As a share of the median rank's, NaN where it is not known."""
    rate: F8
    """Steps a second, NaN where it is not known or nothing is told any more."""
    silent: F8
    """Seconds since a sign of life, NaN of a rank that was never seen."""

    def count(self, state: int) -> int:
        """Return how many ranks are in a state."""
        return int((self.state == state).sum())

    @property
    def slowest(self) -> int | None:
        """The slowest rank that still lives, else the one furthest behind; None if all are even."""
        alive = np.isin(self.state, ALIVE)
        known = alive & np.isfinite(self.speed) & (self.state != HUNG)
        if known.any():
            return int(self.rank[known][self.speed[known].argmin()])
        stepped = alive & (self.step >= 0)
        if stepped.any() and self.step[stepped].min() < self.step[stepped].max():
            return int(self.rank[stepped][self.step[stepped].argmin()])
        return None

    @property
    def outliers(self) -> list[int]:
        """The ranks in trouble: hung, slow (slowest first), silent, dead; else the slowest one."""
        found: list[int] = []
        for state in (HUNG, SLOW, STALE, DIED):
            at = np.flatnonzero(self.state == state)
            order = np.argsort(self.speed[at], kind="stable") if state == SLOW else slice(None)
            found += self.rank[at][order].tolist()
        slowest = self.slowest
        return found or ([] if slowest is None else [slowest])


def pace_of(named: Mapping[str, Sequence[Series]]) -> Pace:
    """Return what ranks are compared by, of the series by name that stand for a run now."""
    usual = {name: -place for place, name in enumerate(USUAL)}
    steps, seconds = "", ""
    best: tuple[int, int] = (0, 0)
    for name, series in named.items():
        first = series[0]
        if first.derived or first.rank is None or first.kind != "gauge":
            continue
        metric = first.metric.name if first.metric else name
        if metric == STEP_TIME and len(series) >= FEWEST and (
            not seconds or len(series) > len(named[seconds])
        ):
            seconds = name
        score = len(series), usual.get(metric, -len(usual))
        if score > best and first.extent("step") is not None:
            steps, best = name, score
    return Pace(Group(named[steps]) if steps else None, Group(named[seconds]) if seconds else None)


def ranks_of(run: Run) -> list[int]:
    """Return every rank there is or is to be; of too many to list, those that were seen."""
    world = run.world_size or 0
    return sorted({*(range(world) if world <= MOST_RANKS else ()), *run.ranks})


def fleet_of(run: Run, pace: Pace, now: float) -> Fleet:
    """Compare the ranks of a run."""
    rank = np.array(ranks_of(run), np.int64)
    at = np.searchsorted(rank, np.fromiter(run.ranks, np.int64, len(run.ranks)))
    seen = run.ranks.values()
    state = np.full(len(rank), ABSENT, np.int8)
    state[at] = [_STATES[one.state] for one in seen]
    step = np.full(len(rank), -1)
    step[at] = [one.step for one in seen]
    silent = np.full(len(rank), np.nan)
    silent[at] = [max(now - one.last_seen, 0.0) for one in seen]
    ahead = np.zeros(len(rank))
    ahead[at] = [one.ahead for one in seen]
    rate, speed = np.full(len(rank), np.nan), np.full(len(rank), np.nan)
    if pace.steps is not None:
        where, paced = _places(pace.steps, rank)
        rate[where], still = _rates(pace.steps, paced, now + ahead[where])
        behind = step[where] < step.max(initial=-1)
        hung = where[(state[where] == LIVE) & still & behind]
        state[hung], rate[hung] = HUNG, 0.0
        speed[where] = _shares(rate[where])
        rate[~np.isin(state, ALIVE)] = np.nan
    if pace.seconds is not None:
        where, paced = _places(pace.seconds, rank)
        values = pace.seconds.windows(POINTS)[0].value[paced]
        speed[where] = 1 / _shares(np.where(values > 0, values, np.nan))
    live = state == LIVE
    state[live & (speed < SLOWER_SPEED)] = SLOWER
    state[live & (speed < SLOW_SPEED)] = SLOW
    return Fleet(rank, state, step, speed, rate, silent)


def _places(group: Group, rank: I8) -> tuple[I8, NDArray[np.bool_]]:
    """Return where in `rank` the series of a group belong, and which of them do at all."""
    of = np.array([-1 if one.rank is None else one.rank for one in group.series])
    at = np.minimum(np.searchsorted(rank, of), len(rank) - 1)
    known: NDArray[np.bool_] = rank[at] == of
    return at[known], known


def _rates(group: Group, paced: NDArray[np.bool_], now: F8) -> tuple[F8, NDArray[np.bool_]]:
    """Return steps a second by the newest points, and which stood still for too long since.

    Args:
        group: series with steps.
        paced: which of them are meant.
        now: what time it is by the clock of each.
    """
    points, held = group.windows(POINTS)
    time, step, held = points.time[paced], points.step[paced], held[paced]
    row, first = np.arange(len(held)), np.maximum(POINTS - held, 0).clip(max=POINTS - 1)
    passed = time[:, -1] - time[row, first]
    gained = step[:, -1] - step[row, first]
    known = (held >= FEWEST) & (passed > 0) & (step[row, first] >= 0) & (gained >= 0)
    rate = np.divide(gained, passed, out=np.full(len(held), np.nan), where=known)
    gaps = (passed / np.maximum(held - 1, 1))[known]
    patience = max(HUNG_SECONDS, HUNG_GAPS * float(np.median(gaps))) if len(gaps) else np.inf
    return rate, now - time[:, -1] > patience


def _shares(values: F8) -> F8:
    """Return each rank's median of `values` as a share of the median rank's; NaN is left out."""
    rows = values if values.ndim == 2 else values[:, None]
    ordered = np.sort(rows, axis=1)
    known = (~np.isnan(ordered)).sum(axis=1)
    middle = ordered[np.arange(len(rows)), np.maximum(known - 1, 0) // 2]
    finite = middle[np.isfinite(middle)]
    usual = float(np.median(finite)) if len(finite) else np.nan
    out: F8 = np.divide(middle, usual, out=np.full(len(middle), np.nan),
                        where=np.isfinite(middle) & (usual > 0))
    return out
