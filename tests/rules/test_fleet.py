"""Ranks compared: who is slow, who stands still, who is missing."""

from __future__ import annotations

import numpy as np

from llmtop.rules import fleet as fleets
from llmtop.rules.fleet import Fleet, Pace, fleet_of, pace_of
from llmtop.samples import Batch, RunEnd, RunInfo, Samples, SeriesInfo
from llmtop.store import Run, Series, Store

T0 = 1_750_000_000.0


class Made:
    """A run whose ranks are logged by hand."""

    def __init__(self, world: int | None = None) -> None:
        self.store, self.world, self._keys = Store(memory_bytes=64 << 20), world, 0
        self.now = T0

    def rank(self, rank: int, **logged: tuple[np.ndarray, float]) -> None:
        """Log series of a rank: values, and the seconds between them."""
        key = f"r{rank}"
        info = RunInfo(key, "run", "node", 1, rank, self.world, started=T0)
        self.store.apply(0, Batch(runs=(info,), alive=(key,)), T0)
        for name, (values, every) in logged.items():
            n, at = len(values), self._keys
            self._keys += 1
            samples = Samples(np.full(n, at, np.uint32), T0 + np.arange(n) * every,
                              np.arange(n), np.asarray(values, np.float64))
            self.now = max(self.now, T0 + n * every)
            self.store.apply(0, Batch(series=(SeriesInfo(at, key, name),), samples=samples), T0)
        self.store.commit(T0)

    @property
    def run(self) -> Run:
        return self.store.runs[0]

    def look(self, later: float = 0.0) -> Fleet:
        now = self.now + later
        alive = tuple(f"r{rank}" for rank, one in self.run.ranks.items() if one.state == "live")
        self.store.apply(0, Batch(alive=alive), now)
        self.store.commit(now)
        return fleet_of(self.run, self.pace, now)

    @property
    def pace(self) -> Pace:
        named: dict[str, list[Series]] = {}
        for one in self.run.series:
            named.setdefault(one.name, []).append(one)
        return pace_of(named)


def test_the_time_a_step_takes_tells_the_slow_from_the_others() -> None:
    made = Made()
    for rank, seconds in enumerate((1.0, 1.02, 0.98, 1.2, 1.7)):
        made.rank(rank, loss=(np.ones(50), 0.5), step_time_seconds=(np.full(50, seconds), 0.5))
    seen = made.look()
    assert seen.state.tolist() == [fleets.LIVE] * 3 + [fleets.SLOWER, fleets.SLOW]
    assert seen.slowest == 4
    assert seen.outliers == [4]
    assert np.allclose(seen.speed[4], 1.02 / 1.7)
    assert np.allclose(seen.rate, 2.0)


def test_where_no_rank_tells_its_times_steps_a_second_do() -> None:
    made = Made()
    for rank, every in enumerate((0.5, 0.5, 0.5, 1.0)):
        made.rank(rank, loss=(np.ones(int(20 / every)), every))
    seen = made.look()
    assert seen.state[3] == fleets.SLOW
    assert np.allclose(seen.speed[3], 0.5)
    assert np.allclose(seen.rate, [2, 2, 2, 1])


def test_a_rank_that_stands_still_while_others_go_on_is_hung() -> None:
    made = Made()
    for rank in range(4):
        made.rank(rank, loss=(np.ones(20 if rank == 2 else 80), 0.5))
    seen = made.look()
    assert seen.state.tolist() == [fleets.LIVE, fleets.LIVE, fleets.HUNG, fleets.LIVE]
    assert seen.rate[2] == 0
    assert seen.outliers == [2]
    # All wait for the one that is a step behind: it alone is named.
    assert made.look(later=60).state.tolist() == seen.state.tolist()


def test_ranks_at_one_step_that_wait_together_are_not_hung() -> None:
    made = Made()
    for rank in range(4):
        made.rank(rank, loss=(np.ones(50), 0.5))
    assert (made.look(later=300).state == fleets.LIVE).all()


def test_missing_silent_and_dead_ranks() -> None:
    made = Made(world=5)
    for rank in range(4):
        made.rank(rank, loss=(np.ones(50), 0.5))
    end = RunEnd("r3", made.now, "died")
    made.store.apply(0, Batch(ends=(end,), alive=("r0", "r1")), made.now)
    made.store.apply(0, Batch(alive=("r0", "r1")), made.now + 60)
    made.store.commit(made.now + 60)
    seen = fleet_of(made.run, made.pace, made.now + 60)
    assert seen.state.tolist() == [fleets.LIVE, fleets.LIVE, fleets.STALE, fleets.DIED,
                                   fleets.ABSENT]
    assert np.isnan(seen.silent[4])
    assert seen.silent[2] > 60
    assert seen.outliers == [2, 3]
    assert np.isnan(seen.rate).tolist() == [False, False, True, True, True]
    assert seen.count(fleets.ABSENT) == 1


def test_a_world_too_large_to_list_is_those_that_were_seen() -> None:
    made = Made(world=1 << 20)
    made.rank(5, loss=(np.ones(5), 0.5))
    made.rank(70_000, loss=(np.ones(5), 0.5))
    assert made.look().rank.tolist() == [5, 70_000]


def test_nothing_logged_is_nothing_known() -> None:
    made = Made(world=2)
    made.rank(0)
    made.rank(1)
    seen = made.look()
    assert np.isnan(seen.speed).all()
    assert seen.slowest is None
    assert seen.outliers == []


def test_a_clock_that_is_behind_makes_no_rank_hung() -> None:
    made = Made()
    for rank in range(3):
        made.rank(rank, loss=(np.ones(120 if rank else 40), 0.5))
    assert made.look().state[0] == fleets.HUNG
    made.store.apply(0, Batch(clocks=(("r0", -40.0),)), made.now)
    assert made.run.clock_off() is None
    assert made.look().state[0] == fleets.LIVE
    worst = made.run.clock_off()
    assert worst is not None
    assert (worst.rank, worst.ahead) == (0, -40.0)
