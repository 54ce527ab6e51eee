"""What the store does with more than it can keep: rings, buckets, budget and overflow."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import T0, Session, bucket_rows, samples

from llmtop.samples import Batch, RunInfo, SeriesInfo
from llmtop.store import Store
from llmtop.wire import OVERFLOW_NAME


def test_a_run_of_millions_stays_flat_and_shows_its_spike():
    store = Store(memory_bytes=16 << 20)
    session = Session(store)
    session.define("loss")
    session.define("ttft_seconds", kind="distribution")
    spike, chunk, total = 1_234_567, 100_000, 4_000_000
    sizes = []
    for start in range(0, total, chunk):
        steps = np.arange(start, start + chunk)
        values = 2.0 + np.sin(steps / 1e4)
        values[steps == spike] = 99.0
        for name in ("loss", "ttft_seconds"):
            session.log(name, values, steps=steps, times=T0 + steps * 0.01)
        session.commit()
        sizes.append(store.memory_used)
    assert max(sizes[5:]) - min(sizes[5:]) < 1 << 18
    assert store.memory_used < 16 << 20
    assert store.samples == 2 * total
    for name in ("loss", "ttft_seconds"):
        series = session.series(name)
        columns = series.buckets("step", 0, total - 1, 200)
        assert np.nanargmax(columns.high) == spike * 200 // total
        assert (columns.high > 3.5).sum() <= 2
        assert not np.isnan(columns.mean).any()
        assert columns.n.sum() == pytest.approx(total)
        assert series.max == 99.0
        np.testing.assert_allclose(
            columns.mean, 2.0 + np.sin((np.arange(200) + 0.5) * 2), atol=0.25
        )


@pytest.mark.parametrize("burst", [1, 7, 64, 65, 1023, 1024, 1025, 5000])
def test_a_spike_survives_wherever_it_falls_in_a_burst(burst):
    for place in {0, burst // 2, burst - 1}:
        store = Store(memory_bytes=4 << 20)
        session = Session(store)
        total = 0
        for turn in range(6000 // burst + 1):
            values = np.zeros(burst)
            if turn == 0:
                values[place] = -5.0
            session.log("x", values, steps=range(total, total + burst))
            session.commit()
            total += burst
        series = session.series("x")
        assert series.n == total
        assert series.min == -5.0
        columns = series.buckets("step", 0, total, 50)
        assert np.nanmin(columns.low) == -5.0
        assert np.nansum(columns.sum) == pytest.approx(-5.0)


def test_a_gap_stays_a_gap_and_none_is_invented():
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    before, after = T0 + np.arange(20_000) * 0.01, T0 + 1000 + np.arange(20_000) * 0.01
    session.log("x", np.ones(20_000), times=before)
    session.commit()
    session.log("x", np.ones(20_000), times=after)
    session.commit()
    columns = session.series("x").buckets("time", T0, T0 + 1200, 120)
    gap = np.isnan(columns.mean)
    assert gap[25:95].all()
    assert not gap[:19].any()
    assert not gap[101:].any()
    zoomed = session.series("x").buckets("time", T0 + 1.0, T0 + 11.0, 300)
    assert not np.isnan(zoomed.mean).any()


def test_ten_thousand_series_fit_the_default_budget_with_256_of_each():
    store = Store()
    session = Session(store)
    session.define(*(f"gauge_{number}" for number in range(10_000)))
    keys = np.tile(np.arange(10_000, dtype=np.uint32), 40)
    for turn in range(10):
        steps = np.repeat(np.arange(turn * 40, turn * 40 + 40), 10_000)
        batch = samples(keys, steps * 1.0, steps=steps, times=T0 + steps)
        store.apply(1, Batch(samples=batch), T0 + 1)
        store.commit(T0 + 1)
    assert store.memory_used < 512 << 20
    assert store.overflowed == 0
    for one in store.series[:: 1000]:
        assert len(one.window(1 << 20).time) == 256
        assert (one.n, one.min, one.max) == (400, 0.0, 399.0)
        assert one.buckets("step", 0, 399, 400).n.tolist() == [1.0] * 400


def test_names_beyond_the_budget_are_folded_into_one_series_a_run_and_counted():
    store = Store(memory_bytes=1 << 20)
    first, second = Session(store, "a", key="a"), Session(store, "b", key="b", first_key=500)
    first.define(*(f"x{number}" for number in range(300)))
    second.define("late", "later")
    kept = len(store.series) - 2
    assert 0 < kept < 300
    assert store.overflowed == 302 - kept
    first.define(*(f"x{number}" for number in range(300)))
    assert store.overflowed == 302 - kept
    for session, name in ((first, "x0"), (first, "x299"), (first, "x298"), (second, "late")):
        session.log(name, [5.0, 6.0], steps=[1, 2])
    first.commit()
    (folded,) = first.run.find(OVERFLOW_NAME)
    assert (folded.n, folded.sum, folded.kind) == (4, 4.0, "counter")
    assert second.run.find(OVERFLOW_NAME)[0].n == 2
    assert first.series("x0").last.value == 6.0
    assert store.dropped == 0
    assert store.memory_used <= 1 << 20


def test_a_full_store_goes_on_in_the_old_series_after_a_restart_of_steps():
    store = Store(memory_bytes=1 << 20)
    session = Session(store)
    session.define(*(f"x{number}" for number in range(300)))
    session.train(0, 50, "x0")
    session.train(10, 60, "x0")
    assert session.run.attempt == 2
    (only,) = session.run.find("x0")
    assert only.n == 100


def test_growth_stops_in_time_for_new_names():
    store = Store(memory_bytes=2 << 20)
    session = Session(store)
    session.define(*(f"early{number}" for number in range(20)))
    for turn in range(4):
        for number in range(20):
            steps = range(turn * 3000, turn * 3000 + 3000)
            session.log(f"early{number}", np.ones(3000), steps=steps)
        session.commit()
    session.define("late")
    session.log("late", [1.0])
    session.commit()
    assert session.series("late").n == 1
    assert store.memory_used <= 2 << 20


def test_series_that_grew_early_leave_room_for_later_ones():
    store = Store(memory_bytes=2 << 20)
    session = Session(store)
    for number in range(45):
        session.log(f"x{number}", np.ones(5000), steps=range(5000))
        session.commit()
    assert store.overflowed == 0
    assert store.memory_used <= 2 << 20
    assert {series.n for series in store.series} == {5000}


def test_unknown_keys_and_losses_on_the_way_are_counted_as_dropped():
    store = Store(memory_bytes=1 << 20)
    store.apply(1, Batch(samples=samples([3, 1 << 31], [1.0, 2.0])), T0)
    store.apply(1, Batch(series=(SeriesInfo(0, "nobody", "x"),), dropped=5), T0)
    history = bucket_rows(0, np.ones(6), per=3)
    store.apply(1, Batch(samples=samples([0], [1.0]), buckets=history), T0)
    assert store.commit(T0) == frozenset()
    assert store.dropped == 2 + 5 + 1 + 6
    assert store.samples == 0


def test_keys_belong_to_their_source_and_may_be_large():
    store = Store(memory_bytes=1 << 20)
    sessions = [
        Session(store, f"run{source}", source=source, first_key=first)
        for source, first in ((1, 0), (2, 0), (3, 4_000_000_000))
    ]
    for number, session in enumerate(sessions):
        session.log("x", [float(number)])
        session.commit()
    assert [store.runs[number].find("x")[0].last.value for number in range(3)] == [0.0, 1.0, 2.0]
    assert store.dropped == 0


def test_impossible_times_and_steps_do_no_harm():
    store = Store(memory_bytes=1 << 20)
    session = Session(store)
    session.log("x", [1.0, 2.0, 3.0, 4.0], times=[np.nan, np.inf, -1e300, T0],
                steps=[-7, np.iinfo(np.int64).max, np.iinfo(np.int64).min, 5])
    session.commit()
    series = session.series("x")
    assert series.window(4).step.tolist() == [-1, -1, -1, 5]
    assert np.isfinite(series.window(4).time).all()
    assert series.buckets("time", T0, T0 + 10, 5).n.sum() == 4


def test_history_comes_before_raw_points_and_ties_in():
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    values = np.random.default_rng(1).normal(size=6000)
    times = T0 + np.arange(6000.0)
    session.define("loss")
    rows = bucket_rows(0, values[:5000], per=7)
    for part in np.array_split(rows, 3):
        store.apply(1, Batch(buckets=part), T0)
    session.log("loss", values[5000:], steps=range(5000, 6000), times=times[5000:])
    assert session.series("loss").id in session.commit()
    series = session.series("loss")
    assert series.n == store.samples == 6000
    assert series.extent("step") == (0, 5999)
    assert (series.first.step, series.last.step) == (0, 5999)
    assert series.min == pytest.approx(values.min(), rel=1e-6)
    assert series.mean == pytest.approx(values.mean(), rel=1e-6)
    columns = series.buckets("step", 0, 5999, 60)
    assert columns.n.sum() == pytest.approx(6000)
    np.testing.assert_allclose(columns.mean, values.reshape(60, 100).mean(axis=1), atol=0.1)
    for start in range(6000, 30_000, 3000):
        session.log("loss", np.zeros(3000), steps=range(start, start + 3000),
                    times=T0 + np.arange(start, start + 3000.0))
        session.commit()
    columns = series.buckets("step", 0, 29_999, 60)
    assert columns.n.sum() == pytest.approx(30_000)
    assert np.nanmax(columns.high) == pytest.approx(values.max(), rel=1e-6)


def test_history_longer_than_its_room_is_merged():
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    session.define("loss")
    values = np.random.default_rng(2).normal(size=9000)
    values[4321] = 50.0
    rows = bucket_rows(0, values, per=3)
    for part in np.array_split(rows, 4):
        store.apply(1, Batch(buckets=part), T0)
    session.commit()
    series = session.series("loss")
    columns = series.buckets("step", 0, 8999, 90)
    assert columns.n.sum() == pytest.approx(9000)
    assert np.nanargmax(columns.high) in {42, 43}
    assert (columns.high > 10).sum() <= 2
    np.testing.assert_allclose(columns.sum.sum(), values.sum(), rtol=1e-6)


def test_history_that_comes_late_goes_to_its_place():
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    session.log("loss", np.ones(50), steps=range(100, 150), times=T0 + np.arange(100.0, 150))
    session.commit()
    store.apply(1, Batch(buckets=bucket_rows(0, np.zeros(100), per=10)), T0)
    session.commit()
    series = session.series("loss")
    assert (series.n, series.first.step, series.last.step) == (150, 0, 149)
    columns = series.buckets("step", 0, 149, 3)
    np.testing.assert_allclose(columns.mean, [0.0, 0.0, 1.0])


def test_nonfinite_history_is_counted_and_not_drawn():
    store = Store(memory_bytes=1 << 20)
    session = Session(store)
    session.define("loss")
    rows = bucket_rows(0, np.array([1.0, 2.0, np.nan, np.nan]), per=2)
    empty = bucket_rows(0, np.ones(1), per=1)
    empty["n"] = 0
    store.apply(1, Batch(buckets=np.concatenate([rows, empty])), T0)
    session.commit()
    series = session.series("loss")
    assert (series.n, series.nonfinite, series.max) == (4, 2, 2.0)
    assert series.buckets("step", 0, 3, 2).bad.tolist() == [0.0, 2.0]


def test_every_session_of_a_source_that_never_stops_reconnecting_is_not_kept(monkeypatch):
    monkeypatch.setattr("llmtop.store.sessions.MAX_SESSIONS", 10)
    store = Store(memory_bytes=1 << 20)
    for number in range(50):
        now = T0 + 60 * number
        store.apply(1, Batch(runs=(RunInfo(f"s{number}", "x", started=now),)), now)
        store.commit(now)
    assert len(store.runs) == 1
    assert store.runs[0].attempt == 50
    assert len(store._sessions.all) == 10


def test_runs_beyond_the_limit_share_one(monkeypatch):
    monkeypatch.setattr("llmtop.store.sessions.MAX_RUNS", 3)
    store = Store(memory_bytes=1 << 20)
    for number in range(6):
        session = Session(store, f"run{number}", key=f"s{number}", first_key=number)
        session.log("x", [1.0])
        session.commit()
    assert [run.name for run in store.runs] == ["run0", "run1", "run2", OVERFLOW_NAME]
    assert sum(series.n for series in store.runs[3].find("x")) == 3
