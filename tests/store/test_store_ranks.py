"""One metric over many ranks."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from feeding import T0, Session

from llmtop.store import Axis, Group, Series, Spread, Store, cross_rank
from llmtop.store.table import GAUGE_POINTS


def fleet(ranks: int = 4, memory: int = 8 << 20) -> tuple[Store, list[Session]]:
    store = Store(memory_bytes=memory)
    return store, [Session(store, key=str(rank), rank=rank, world_size=ranks, first_key=10 * rank)
                   for rank in range(ranks)]


def log(sessions: list[Session], first: int, count: int, random: np.random.Generator) -> None:
    for session in sessions:
        values = random.normal(1, 0.1, count)
        session.log("step_time", values, steps=range(first, first + count))
    sessions[0].commit()


def one_by_one(
    series: list[Series], start: float, stop: float, count: int, axis: Axis = "step"
) -> Spread:
    """What a rank after the other says."""
    parts = [one.buckets(axis, start, stop, count) for one in series]
    with np.errstate(all="ignore"):
        return Spread(
            np.fmin.reduce([part.low for part in parts]),
            np.nanmedian([part.mean for part in parts], axis=0),
            np.fmax.reduce([part.high for part in parts]),
            np.sum([part.n for part in parts], axis=0),
            np.sum([part.bad for part in parts], axis=0),
        )


def same(got: Spread, wanted: Spread) -> None:
    for one, other in zip(astuple(got), astuple(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_spread_over_ranks_is_minimum_median_maximum():
    store, sessions = fleet()
    for rank, session in enumerate(sessions):
        values = np.full(1000, float(rank))
        if rank == 1:
            values[333] = 50.0
        values[500:600] = np.nan
        session.log("step_time", values[: 800 if rank == 3 else 1000],
                    steps=range(800 if rank == 3 else 1000))
        session.commit()
    found = cross_rank(store.runs[0].find("step_time"), "step", 0, 999, 10)
    assert np.nanmax(found.high) == 50.0
    assert found.high[3] == 50.0
    assert found.low[0] == 0.0
    assert found.median[0] == pytest.approx(1.5)
    assert found.median[9] == pytest.approx(1.0)
    assert found.high[9] == 2.0
    assert np.isnan(found.median[5])
    assert found.bad[5] == 400
    assert found.n.sum() == 3800 - 400


def test_no_ranks_are_no_data():
    found = cross_rank([], "time", 0, 1, 5)
    assert np.isnan(found.median).all()
    assert found.n.sum() == 0


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_what_came_since_is_added_to_what_was_drawn():
    random = np.random.default_rng(0)
    store, sessions = fleet()
    log(sessions, 0, 50, random)
    series = store.runs[0].find("step_time")
    for first in range(50, 400, 7):
        log(sessions[: 3 if first % 2 else 4], first, 7, random)
        same(cross_rank(series, "step", 0, 500, 125), one_by_one(series, 0, 500, 125))
    assert len(store._table.sheets) == 1


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_a_window_that_follows_moves_along():
    random = np.random.default_rng(1)
    store, sessions = fleet()
    log(sessions, 0, 300, random)
    series = store.runs[0].find("step_time")
    for first in range(300, 340):
        log(sessions, first, 1, random)
        start = (first - 198) // 2 * 2.0
        same(cross_rank(series, "step", start, start + 200, 100),
             one_by_one(series, start, start + 200, 100))
    same(cross_rank(series, "step", 0, 200, 100), one_by_one(series, 0, 200, 100))
    same(cross_rank(series, "step", 140, 340, 100), one_by_one(series, 140, 340, 100))


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_history_that_left_the_rings_is_in_the_picture():
    random = np.random.default_rng(2)
    store, sessions = fleet()
    log(sessions, 0, 5 * GAUGE_POINTS, random)
    series = store.runs[0].find("step_time")
    for start, stop in ((0, 8000), (1000, 2000), (5000, 5200)):
        same(cross_rank(series, "step", start, stop, 100), one_by_one(series, start, stop, 100))
    log(sessions, 5 * GAUGE_POINTS, 2 * GAUGE_POINTS, random)
    same(cross_rank(series, "step", 0, 8000, 100), one_by_one(series, 0, 8000, 100))


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("axis", ["step", "time", "elapsed"])
def test_history_of_any_kind_is_what_its_series_tell_one_by_one(axis: Axis):
    """Pauses, NaN, points without steps, ranks of different lengths, one without history."""
    random = np.random.default_rng(4)
    store, sessions = fleet(6)
    for rank, session in enumerate(sessions):
        count = (3 * GAUGE_POINTS, 5000, 4096, 2500, 40, 1)[rank]
        values = random.normal(1, 0.1, count)
        values[random.random(count) < 0.01] = np.nan
        steps = np.arange(count)
        steps[random.random(count) < 0.02] = -1
        times = T0 + np.cumsum(1.0 + 1e4 * (random.random(count) < 1e-3))
        session.log("step_time", values, steps=steps, times=times)
    sessions[0].commit()
    series = store.runs[0].find("step_time")
    low, high = Group(series).extent(axis) or (0.0, 1.0)
    for start, stop in ((low, high), (low + (high - low) / 3, high - (high - low) / 3)):
        same(cross_rank(series, axis, start, stop, 90), one_by_one(series, start, stop, 90, axis))


def test_points_out_of_order_and_without_a_step_break_nothing():
    store, sessions = fleet(2)
    sessions[0].log("step_time", [1.0, 2.0, 3.0], times=[100.0, 50.0, 75.0])
    sessions[1].log("step_time", [4.0, np.inf], times=[60.0, 70.0])
    sessions[0].commit()
    series = store.runs[0].find("step_time")
    found = cross_rank(series, "time", 50, 100, 5)
    assert found.low[0] == 2.0
    assert found.high[4] == 1.0
    assert found.bad.sum() == 1
    assert cross_rank(series, "step", 0, 100, 5).n.sum() == 0


def test_sheets_are_forgotten_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llmtop.store.ranks.MOST_CELLS", 700)
    store, sessions = fleet()
    log(sessions, 0, 10, np.random.default_rng(3))
    series = store.runs[0].find("step_time")
    for count in range(2, 5):
        cross_rank(series[:count], "step", 0, 10, 100)
    assert len(store._table.sheets) == 2


def test_a_group_tells_what_its_series_tell():
    store, sessions = fleet(3)
    for rank, session in enumerate(sessions):
        session.log("step_time", [rank + 0.5, np.nan, 7.0][: rank + 1], steps=range(rank + 1))
    sessions[0].commit()
    group = Group(store.runs[0].find("step_time"))
    extents = [one.extent("time") for one in group.series]
    assert group.extent("step") == (0, 2)
    assert group.extent("time") == (min(e[0] for e in extents if e),
                                    max(e[1] for e in extents if e))
    assert group.version == max(one.version for one in group.series)
    assert group.nonfinite == 2
    np.testing.assert_array_equal(group.last.value, [0.5, np.nan, 7.0])
    points, held = group.windows(2)
    assert held.tolist() == [1, 2, 2]
    np.testing.assert_array_equal(points.value, [[np.nan, 0.5], [1.5, np.nan], [np.nan, 7.0]])
    np.testing.assert_array_equal(points.step, [[-1, 0], [0, 1], [1, 2]])


def test_the_series_of_steps_that_was_told_last():
    store, sessions = fleet(3)
    sessions[0].log("loss", [1.0, 2.0], steps=[0, 1], times=[10.0, 20.0])
    sessions[1].log("loss", [1.0, 2.0], steps=[0, 1], times=[11.0, 22.0])
    sessions[2].log("loss", [1.0], times=[99.0])
    sessions[0].commit()
    group = Group(store.runs[0].find("loss"))
    assert group.newest_with_steps() is group.series[1]
    assert Group(group.series[2:]).newest_with_steps() is None
