"""The store against a model that a child could check: a list of points a series."""

from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import pytest
from feeding import T0, Session, samples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmtop.samples import Batch
from llmtop.store import Series, Store

VALUES = st.one_of(
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e300, -1e-300]),
)
SMALL = 4 << 20


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[int, int]]]:
    """Commits, each a list of (series, how many points): bursts beyond any ring included."""
    commits = draw(st.integers(1, 6))
    return [
        draw(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1, 2, 3, 50, 70, 400, 3000])),
                      min_size=1, max_size=5))
        for _ in range(commits)
    ]  # fmt: skip


def play(
    history: list[list[tuple[int, int]]], seed: int, odd: list[float], memory: int = SMALL
) -> tuple[Store, list[Series], list[list[tuple[float, int, float]]]]:
    """Feed a store and the model with the same points, mostly forward in time.

    Odd seeds get rings and bucket arrays of 64, so that a few bursts are already a long run.
    """
    if seed % 2:
        with patch.multiple("llmtop.store.table", GAUGE_POINTS=64, MAX_BUCKETS=64,
                            DISTRIBUTION_POINTS=128):
            return play_in(Store(memory_bytes=memory), history, seed, odd)
    return play_in(Store(memory_bytes=memory), history, seed, odd)


def play_in(
    store: Store, history: list[list[tuple[int, int]]], seed: int, odd: list[float]
) -> tuple[Store, list[Series], list[list[tuple[float, int, float]]]]:
    session = Session(store)
    session.define("a", "b", "c", "d")
    session.define("e", kind="distribution")
    model: list[list[tuple[float, int, float]]] = [[] for _ in range(5)]
    rng = np.random.default_rng(seed)
    clock, step = T0, 0
    for commit in history:
        for series, count in commit:
            times = clock + np.sort(rng.random(count))
            steps = np.arange(step, step + count)
            values = rng.normal(size=count) * 10.0 ** rng.integers(-3, 4)
            for value in odd[: count // 2]:
                values[rng.integers(count)] = value
            if count > 2 and rng.random() < 0.3:
                times[1], times[2] = times[2], times[1]
            if count >= 50 and rng.random() < 0.3:
                steps[count // 2 + np.arange(2)] = steps[count // 2 + np.array([1, 0])]
            if rng.random() < 0.1:
                clock += 500.0
            clock, step = clock + 1.0, step + count
            batch = samples([series] * count, values, steps=steps, times=times)
            store.apply(1, Batch(samples=batch), clock)
            model[series].extend(zip(times.tolist(), steps.tolist(), values.tolist(), strict=True))
        store.commit(clock)
    return store, store.series, model


def finite(points: list[tuple[float, int, float]]) -> list[float]:
    return [value for _, _, value in points if math.isfinite(value)]


@given(histories(), st.integers(0, 9), st.lists(VALUES, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_a_series_says_of_itself_is_what_was_logged(history, seed, odd):
    _, series, model = play(history, seed, odd)
    for one, points in zip(series, model, strict=True):
        good = finite(points)
        assert one.n == len(points)
        assert one.nonfinite == len(points) - len(good)
        if not points:
            assert one.first is None
            assert one.last is None
            continue
        for said, true in ((one.first, points[0]), (one.last, points[-1])):
            assert (said.time, said.step) == true[:2]
            assert said.value == pytest.approx(true[2], nan_ok=True)
        if good:
            assert (one.min, one.max) == (min(good), max(good))
            if max(map(abs, good)) < 1e200:
                scale = sum(map(abs, good))
                assert one.sum == pytest.approx(math.fsum(good), abs=1e-9 * scale + 1e-12)
        else:
            assert math.isnan(one.min)
            assert math.isnan(one.mean)
        assert one.extent("step") == (points[0][1], points[-1][1])
        times = [time for time, _, _ in points]
        assert one.extent("time") == (min(times), max(times))


@given(histories(), st.integers(0, 9), st.lists(VALUES, max_size=4), st.integers(1, 5000))
@settings(max_examples=40, deadline=None)
def test_a_window_is_the_last_points_as_they_came(history, seed, odd, k):
    _, series, model = play(history, seed, odd)
    for one, points in zip(series, model, strict=True):
        time, step, value = one.window(k)
        assert len(time) == min(k, len(points), len(one.window(1 << 40).time))
        assert len(time) >= min(k, len(points), 64)
        tail = points[len(points) - len(time) :]
        np.testing.assert_array_equal(time, [point[0] for point in tail])
        np.testing.assert_array_equal(step, [point[1] for point in tail])
        np.testing.assert_array_equal(value, [point[2] for point in tail])


@given(
    histories(), st.integers(0, 9), st.lists(VALUES, max_size=4), st.integers(1, 90),
    st.sampled_from(["time", "step", "elapsed"]), st.floats(0, 1), st.floats(0, 1),
)
@settings(max_examples=120, deadline=None)
def test_columns_hold_every_point(history, seed, odd, count, axis, one_end, other_end):
    _, series, model = play(history, seed, odd)
    for one, points in zip(series, model, strict=True):
        if not points:
            continue
        low, high = one.extent(axis)
        start = low + (high - low) * min(one_end, other_end)
        stop = low + (high - low) * max(one_end, other_end)
        columns = one.buckets(axis, start, stop, count)
        assert all(len(getattr(columns, name)) == count for name in columns.__slots__)
        width = (stop - start) / count if stop > start else 1.0
        for time, step, value in points:
            x = {"time": time, "step": step, "elapsed": time - one.run.started}[axis]
            if not start <= x <= stop:
                continue
            # An edge may fall on either side by rounding; the point is in one of the two.
            places = {
                min(max(int((x - start) / width + nudge), 0), count - 1) for nudge in (-1e-6, 1e-6)
            }
            if not math.isfinite(value):
                assert any(columns.bad[place] > 0 for place in places)
            else:
                assert any(
                    columns.low[place] <= value <= columns.high[place] for place in places
                ), (x, value)
        whole = one.buckets(axis, low, high, count)
        assert whole.n.sum() == pytest.approx(len(finite(points)))
        good = finite(points)
        if max(map(abs, good), default=0.0) < 1e200:
            scale = sum(map(abs, good))
            assert whole.sum.sum() == pytest.approx(math.fsum(good), abs=1e-9 * scale + 1e-12)
        assert whole.bad.sum() == pytest.approx(len(points) - len(finite(points)))
        said = columns.n > 0
        assert (columns.low[said] <= columns.high[said]).all()
        assert np.isnan(columns.mean[~said]).all()


@given(histories(), st.integers(0, 9), st.lists(VALUES, max_size=4))
@settings(max_examples=40, deadline=None)
def test_columns_within_the_raw_points_are_exact(history, seed, odd):
    _, series, model = play(history, seed, odd)
    for one, points in zip(series, model, strict=True):
        raw = one.window(1 << 40)
        if len(raw.time) < 3 or len(raw.time) == len(points):
            continue
        start, stop = float(raw.step[1]), float(raw.step[-1])
        columns = one.buckets("step", start, stop, 7)
        held = [point for point in points if start <= point[1] <= stop]
        assert columns.n.sum() == len(finite(held))
        good = finite(held)
        if good:
            assert np.nanmin(columns.low) == min(good)
            assert np.nanmax(columns.high) == max(good)


@given(histories(), st.integers(0, 9), st.lists(VALUES, max_size=4))
@example([[(4, 400)]], 1, [])
@settings(max_examples=40, deadline=None)
def test_quantiles_of_what_is_held_are_those_of_numpy(history, seed, odd):
    odd = [value for value in odd if not 1e30 < abs(value) < math.inf]
    _, series, model = play(history, seed, odd, memory=64 << 20)
    qs = [0.0, 0.5, 0.9, 0.99, 1.0]
    for one, points in zip(series, model, strict=True):
        since = points[len(points) // 2][0] if points else T0
        window = finite([point for point in points if point[0] >= since])
        found = one.quantiles(qs, since=since)
        held = len(one.window(1 << 40).time)
        if held < len(points):
            # What is no longer held in full says so, or is exact all the same.
            assert found.n <= (len(points) if found.method == "bins" else held)
            if not found.exact:
                continue
        assert found.exact
        assert found.n == len(window)
        if window:
            narrow = np.array(window, dtype=np.float32).astype(np.float64)
            np.testing.assert_allclose(found.values, np.quantile(narrow, qs), rtol=1e-12)
        else:
            assert np.isnan(found.values).all()
