"""Histograms and quantiles of distributions, over a window, a run and the columns of a chart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from feeding import T0, Session
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtop.samples import Batch, Histogram
from llmtop.store import Store, histogram, share_below
from llmtop.store.bands import of_histogram
from llmtop.store.histogram import MAX_SLICES, SlicedHistogram, order_of_bins, orders
from llmtop.store.points import Points
from llmtop.store.quantiles import of_counts
from llmtop.wire import hist_bin

WITHIN = 0.0079
NORMAL = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: value == 0 or 1e-37 < abs(value) < 3e38
)
QS = [0.0, 0.25, 0.5, 0.9, 0.99, 1.0]


@given(st.lists(NORMAL, min_size=1))
def test_bins_are_those_of_the_wire_and_in_the_order_of_values(values):
    found = orders(np.array(values))
    assert found.tolist() == order_of_bins(np.array([hist_bin(v) for v in values])).tolist()
    assert (np.diff(found[np.argsort(values)]) >= 0).all() or 0.0 in values


@given(st.lists(NORMAL, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_of_bins_is_near_the_value_of_that_rank(values, q):
    counted = SlicedHistogram()
    counted.add(np.full(len(values), T0), np.array(values), 1 << 16)
    found = of_counts(counted.total(), [q])
    assert found.n == len(values)
    assert not found.exact
    ordered, rank = sorted(values), q * (len(values) - 1)
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    slack = WITHIN * max(abs(low), abs(high))
    assert min(low, high) - slack <= found.values[0] <= max(low, high) + slack


@given(
    st.lists(st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=40), min_size=1, max_size=8),
    st.integers(1, 10_000),
)
@settings(deadline=None)
def test_counts_merge_exactly_however_they_were_divided(parts, seconds):
    apart, together = SlicedHistogram(), SlicedHistogram()
    for number, part in enumerate(parts):
        apart.add(np.full(len(part), T0 + number * seconds), np.array(part), 300)
    everything = np.array([value for part in parts for value in part])
    together.add(np.full(len(everything), T0), everything, 1 << 16)
    assert apart.total().orders.tolist() == together.total().orders.tolist()
    assert apart.total().counts.tolist() == together.total().counts.tolist()


def test_slices_stay_within_their_number_and_entries():
    counted = SlicedHistogram()
    rng = np.random.default_rng(0)
    for turn in range(40):
        counted.add(T0 + turn * 5000 + rng.random(500) * 5000, rng.lognormal(size=500), 4000)
        assert len(counted.slices) <= MAX_SLICES
        assert counted.entries <= 4000
    assert counted.total().counts.sum() == 20_000


def test_long_distributions_are_exact_over_the_window_and_near_over_the_run():
    store = Store()
    session = Session(store)
    session.define("ttft_seconds", kind="distribution")
    rng = np.random.default_rng(3)
    values = rng.lognormal(-2.0, 1.5, size=300_000)
    times = T0 + np.arange(len(values)) * 0.01
    for part in np.array_split(np.arange(len(values)), 30):
        session.log("ttft_seconds", values[part], times=times[part])
        session.commit()
    series = session.series("ttft_seconds")
    whole = series.quantiles(QS)
    assert (whole.n, whole.exact) == (len(values), False)
    np.testing.assert_allclose(whole.values, np.quantile(values, QS), rtol=WITHIN)
    since = times[-50_000]
    window = series.quantiles(QS, since=since)
    assert (window.n, window.exact) == (50_000, True)
    narrow = values[-50_000:].astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(window.values, np.quantile(narrow, QS), rtol=1e-12)
    longer = series.quantiles(QS, since=times[100_000])
    assert (longer.exact, longer.method) == (False, "bins")
    assert longer.n == pytest.approx(200_000, abs=2000), "the window, not what the ring holds of it"
    np.testing.assert_allclose(longer.values[1:-1], np.quantile(values[100_000:], QS)[1:-1],
                               rtol=3 * WITHIN)
    below = share_below(series, 0.1, times[100_000])
    assert below.least <= (values[100_000:] <= 0.1).mean() + 1e-3
    assert below.most >= (values[100_000:] <= 0.1).mean() - 1e-3
    assert below.most - below.least < 0.01

    stop = float(times[-1])
    columns = series.quantile_columns(QS, T0, stop, 30)
    assert columns.shape == (len(QS), 30)
    for place in range(30):
        part = values[place * 10_000 : (place + 1) * 10_000]
        near = 1e-3 if place > 24 else 0.1
        np.testing.assert_allclose(columns[2:4, place], np.quantile(part, QS[2:4]), rtol=near)
    whole_column = series.quantile_columns(QS, T0, stop, 1)[:, 0]
    np.testing.assert_allclose(whole_column, np.quantile(values, QS), rtol=WITHIN)
    zoomed = series.quantile_columns(QS, stop - 100, stop, 10)
    for place in range(10):
        left = stop - 100 + place * 10
        part = values[(times >= left) & (times <= left + 10)]
        np.testing.assert_allclose(zoomed[:, place], np.quantile(part, QS), rtol=2e-2)


def test_a_window_of_a_long_run_is_never_worse_than_the_points_that_are_held():
    store = Store()
    session = Session(store)
    session.define("itl_seconds", kind="distribution")
    session.log("itl_seconds", np.full(10, 99.0), times=np.full(10, T0))
    rng = np.random.default_rng(3)
    values, times = rng.lognormal(-3, 0.5, 200_000), T0 + 1e6 + np.arange(200_000) * 0.01
    for part in np.array_split(np.arange(len(values)), 20):
        session.log("itl_seconds", values[part], times=times[part])
        session.commit()
    series = session.series("itl_seconds")
    held = len(series.window(1 << 40).time)
    found = series.quantiles(QS, since=times[-80_000])
    assert held <= found.n < len(values) + held, "slices of an hour say little of some minutes"
    np.testing.assert_allclose(found.values[1:-1], np.quantile(values, QS)[1:-1], rtol=0.03)


def test_old_columns_follow_what_is_added_to_them():
    counted = SlicedHistogram()
    fresh = Points(np.empty(0), np.empty(0, np.int64), np.empty(0))
    for value in (1.0, 4.0):
        times = np.array([T0 + 0.1, T0 + 0.5, T0 + 0.9])
        counted.add(times, np.full(3, value), 1 << 16)
        found = of_histogram(counted, fresh, [1.0], T0, T0 + 1, 5)
        np.testing.assert_allclose(found, value, rtol=WITHIN)


def test_a_gap_between_slices_stays_empty():
    store = Store(memory_bytes=8 << 20)
    session = Session(store)
    session.define("x", kind="distribution")
    for start in (0.0, 5000.0):
        times = T0 + start + np.arange(20_000) * 0.05
        session.log("x", np.ones(20_000), times=times)
        session.commit()
    columns = session.series("x").quantile_columns([0.5], T0, T0 + 6000, 60)[0]
    assert np.isnan(columns[15:45]).all()
    assert not np.isnan(columns[:9]).any()
    assert not np.isnan(columns[51:59]).any()


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6, width=32)), max_size=80),
    st.integers(1, 12),
)
@settings(deadline=None, max_examples=50)
def test_exact_columns_are_those_of_numpy(points, count):
    store = Store(memory_bytes=2 << 20)
    session = Session(store)
    session.define("x", kind="distribution")
    if points:
        session.log("x", [v for _, v in points], times=[T0 + round(t) + 0.5 for t, _ in points])
    session.commit()
    found = session.series("x").quantile_columns([0.1, 0.5], T0, T0 + 12 * count, count)
    for place in range(count):
        part = [v for t, v in points if place * 12 <= round(t) + 0.5 < (place + 1) * 12]
        if part:
            np.testing.assert_allclose(found[:, place], np.quantile(part, [0.1, 0.5]), atol=1e-6)
        else:
            assert np.isnan(found[:, place]).all()


def test_counts_from_a_publisher_join_the_run_and_its_own_samples():
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    session.define("ttft_seconds", kind="distribution")
    session.define("loss")
    early = np.random.default_rng(5).lognormal(size=4000)
    bins, counts = np.unique([hist_bin(value) for value in early], return_counts=True)
    for key in (0, 1, 77):
        part = Histogram(key, bins.astype(np.uint16), counts.astype(np.uint32))
        store.apply(1, Batch(histograms=(part,)), T0)
    late = np.random.default_rng(6).lognormal(size=1000)
    session.log("ttft_seconds", late)
    session.commit()
    found = session.series("ttft_seconds").quantiles(QS)
    assert (found.n, found.exact) == (5000, False)
    np.testing.assert_allclose(
        found.values, np.quantile(np.concatenate([early, late]), QS), rtol=WITHIN
    )
    assert session.series("loss").quantiles(QS).n == 0


def test_bins_of_what_is_not_finite_are_ignored():
    counted = SlicedHistogram()
    bins = np.array([hist_bin(math.inf), hist_bin(-math.inf), hist_bin(math.nan), hist_bin(1.0)])
    counted.merge(bins, np.array([5, 5, 5, 1]))
    assert of_counts(counted.total(), [0.5]).n == 1


def test_values_beyond_float32_are_counted_at_its_end():
    assert orders(np.array([1e300])) == orders(np.array([float(np.finfo(np.float32).max)]))
    assert math.isfinite(histogram.value_of_orders(orders(np.array([1e300])))[0])


def test_quantiles_of_nothing_are_nan():
    store = Store(memory_bytes=1 << 20)
    session = Session(store)
    session.define("x", kind="distribution")
    found = session.series("x").quantiles(QS)
    assert found.n == 0
    assert np.isnan(found.values).all()
    assert np.isnan(session.series("x").quantile_columns(QS, T0, T0 + 1, 4)).all()


@pytest.mark.parametrize("kind", ["gauge", "counter"])
def test_other_kinds_answer_from_what_they_hold_and_say_so(kind):
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    session.define("x", kind=kind)
    session.log("x", np.arange(5000.0), times=T0 + np.arange(5000.0))
    session.commit()
    found = session.series("x").quantiles([0.0, 1.0])
    assert not found.exact
    assert found.values.tolist() == [5000.0 - found.n, 4999.0]
