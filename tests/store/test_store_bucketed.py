"""Counts by bucket: quantiles as Prometheus estimates them, in bounded memory, nothing lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from feeding import T0, samples
from hypothesis import given
from hypothesis import strategies as st

from llmtop.samples import Batch, Bucketed, RunInfo, SeriesInfo
from llmtop.store import BucketedSeries, Series, Store, bounds, density, share_below
from llmtop.store.increments import MAX_ROWS, Increments

BOUNDS = np.array([0.1, 0.5, 1.0, 5.0, np.inf])


def prometheus(q: float, upper: list[float], cumulative: list[float]) -> float:
    """promql/quantile.go, bucketQuantile, for counts that are monotone already."""
    if len(upper) < 2 or not math.isinf(upper[-1]) or cumulative[-1] == 0:
        return math.nan
    rank = q * cumulative[-1]
    at = next((i for i in range(len(upper) - 1) if cumulative[i] >= rank), len(upper) - 1)
    if at == len(upper) - 1:
        return upper[-2]
    if at == 0 and upper[0] <= 0:
        return upper[0]
    start, count = 0.0, cumulative[at]
    if at > 0:
        start = upper[at - 1]
        count -= cumulative[at - 1]
        rank -= cumulative[at - 1]
    return start + (upper[at] - start) * (rank / count)


class Scraped:
    """A store with one bucketed series."""

    def __init__(self) -> None:
        self.store = Store(memory_bytes=64 << 20)
        info = SeriesInfo(0, "s", "ttft_seconds", "distribution", "seconds", bucketed=True)
        self.store.apply(0, Batch(runs=(RunInfo("s", "s", phase="serve"),), series=(info,)), T0)

    def count(
        self, at: float, counts: list[int], *, edges: np.ndarray = BOUNDS, total: float = 0.0,
        took: float = 1.0,
    ) -> None:  # fmt: skip
        part = Bucketed(0, T0 + at - took, T0 + at, edges, np.array(counts), total)
        self.store.apply(0, Batch(bucketed=(part,), alive=("s",)), T0 + at)
        self.store.commit(T0 + at)

    @property
    def series(self) -> Series:
        return self.store.series[0]


@given(
    st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(any),
    st.floats(0.001, 1.0),
)
def test_quantiles_are_those_of_histogram_quantile(counts: list[int], q: float) -> None:
    got = bounds.quantiles(BOUNDS, np.array([counts]), [q])
    want = prometheus(q, BOUNDS.tolist(), np.cumsum(counts).tolist())
    assert got.value[0, 0] == pytest.approx(want, rel=1e-9)
    low, high = got.low[0, 0], got.high[0, 0]
    assert low <= want <= high
    alone = bounds.of_row(BOUNDS, np.array(counts), [q])
    assert alone.value[0] == pytest.approx(want, rel=1e-9)
    assert (alone.low[0], alone.high[0]) == (low, high)


def test_negative_bounds_are_as_in_prometheus_and_one_bucket_says_nothing() -> None:
    edges = np.array([-1.0, 0.0, 2.0, np.inf])
    for counts in ([4, 0, 0, 0], [1, 3, 4, 0]):
        got = bounds.quantiles(edges, np.array([counts]), [0.5]).value[0, 0]
        assert bounds.of_row(edges, np.array(counts), [0.5]).value[0] == got
        assert got == pytest.approx(prometheus(0.5, edges.tolist(), np.cumsum(counts).tolist()))
    assert np.isnan(bounds.quantiles(np.array([np.inf]), np.array([[7]]), [0.5]).value).all()


def test_a_window_counts_only_the_looks_in_it() -> None:
    scraped = Scraped()
    scraped.count(1, [100, 0, 0, 0, 0], total=5.0)
    scraped.count(2, [0, 0, 0, 10, 0], total=30.0)
    recent = scraped.series.quantiles([0.5], since=T0 + 1)
    assert recent.n == 10
    assert recent.values[0] == pytest.approx(3.0)
    assert recent.mean == pytest.approx(3.0)
    assert (recent.low, recent.high) == (np.array([1.0]), np.array([5.0]))
    assert recent.method == "histogram"
    assert not recent.exact
    whole = scraped.series.quantiles([0.5])
    assert whole.n == scraped.series.n == 110
    assert whole.mean == pytest.approx(35 / 110)


def test_a_rank_in_the_open_bucket_is_at_least_the_last_bound() -> None:
    scraped = Scraped()
    scraped.count(1, [0, 0, 0, 1, 99])
    found = scraped.series.quantiles([0.5, 0.001])
    assert found.values[0] == 5.0
    assert found.high is not None
    assert np.isposinf(found.high[0])
    assert found.high[1] == 5.0


def test_other_bounds_begin_the_window_anew_but_lose_no_count() -> None:
    scraped = Scraped()
    scraped.count(1, [5, 0, 0, 0, 0])
    scraped.count(2, [0, 3], edges=np.array([2.0, np.inf]))
    found = scraped.series.quantiles([0.5])
    assert found.n == 3
    assert scraped.series.n == 8


def test_columns_are_estimates_of_their_own_looks() -> None:
    scraped = Scraped()
    for second in range(1, 101):
        scraped.count(second, [10, 0, 0, 0, 0] if second <= 50 else [0, 0, 10, 0, 0], total=1.0)
    series = scraped.series
    table = series.quantile_columns([0.5], T0, T0 + 100, 10)
    assert table.shape == (1, 10)
    assert table[0, :5] == pytest.approx(np.full(5, 0.05))
    assert table[0, 5:] == pytest.approx(np.full(5, 0.75))
    columns = series.buckets("time", T0, T0 + 100, 10)
    assert columns.n == pytest.approx(np.full(10, 100.0))
    assert columns.mean == pytest.approx(np.full(10, 0.1))
    late = series.buckets("time", T0 + 200, T0 + 300, 4)
    assert not late.n.any()
    assert np.isnan(late.mean).all()


@given(st.integers(1, 5), st.integers(65, 3000))
def test_memory_is_bounded_and_no_observation_is_lost(each: int, looks: int) -> None:
    rows = Increments()
    counts = np.array([each, 0, 1])
    for at in range(looks):
        rows.add(T0 + at, T0 + at + 1, np.array([1.0, 2.0, np.inf]), counts, 1.0, 1 << 20)
    assert rows.rows <= MAX_ROWS
    assert rows.counts.sum() == rows.total == looks * (each + 1)
    assert rows.sum.sum() == pytest.approx(looks)
    assert (np.diff(rows.start) > 0).all()
    assert rows.stop[:-1] == pytest.approx(rows.start[1:])
    assert rows.start[0] == T0
    newest = min(looks, 60)
    assert rows.counts[-newest:].sum(axis=1).tolist() == [each + 1] * newest


def test_little_memory_still_holds_the_newest_looks() -> None:
    rows = Increments()
    for at in range(5000):
        rows.add(T0 + at, T0 + at + 1, BOUNDS, np.array([1, 0, 0, 0, 0]), 0.0, 1)
    assert rows.bytes < 10_000
    assert rows.stop[-1] - rows.start[-1] == 1.0
    assert rows.counts.sum() == 5000


@pytest.mark.parametrize("part", [
    Bucketed(0, T0, T0 + 1, np.array([1.0, 2.0]), np.array([1, 1]), 1.0),
    Bucketed(0, T0, T0 + 1, np.array([2.0, 1.0, np.inf]), np.array([1, 1, 1]), 1.0),
    Bucketed(0, T0, T0 + 1, np.array([1.0, np.inf]), np.array([1, -1]), 1.0),
    Bucketed(0, math.nan, T0 + 1, np.array([1.0, np.inf]), np.array([1, 1]), 1.0),
    Bucketed(0, T0, T0 + 1, np.array([]), np.array([], dtype=np.int64), 1.0),
    Bucketed(9, T0, T0 + 1, np.array([1.0, np.inf]), np.array([1, 1]), 1.0),
])  # fmt: skip
def test_what_cannot_be_counts_is_dropped_and_counted(part: Bucketed) -> None:
    scraped = Scraped()
    scraped.store.apply(0, Batch(bucketed=(part,)), T0)
    assert scraped.store.dropped == 1
    assert scraped.series.n == 0


def test_the_share_below_a_limit_is_certain_on_a_bound_and_bracketed_between() -> None:
    scraped = Scraped()
    scraped.count(1, [10, 10, 0, 60, 20])
    on = share_below(scraped.series, 0.5)
    assert (on.value, on.least, on.most, on.n) == (0.2, 0.2, 0.2, 100)
    between = share_below(scraped.series, 3.0)
    assert between.least == 0.2
    assert between.value == pytest.approx(0.5)
    assert between.most == pytest.approx(0.8)
    beyond = share_below(scraped.series, 60.0)
    assert (beyond.least, beyond.most) == (0.8, 1.0)
    assert np.isnan(share_below(scraped.series, 1.0, since=T0 + 9).value)


def test_the_density_of_buckets_and_of_values_agree() -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(-1, 0.5, 2000)
    times = T0 + np.sort(rng.uniform(0, 60, 2000))
    exact = Store(memory_bytes=64 << 20)
    info = SeriesInfo(0, "s", "ttft_seconds", "distribution")
    exact.apply(0, Batch(runs=(RunInfo("s", "s"),), series=(info,),
                         samples=samples(np.zeros(2000), values, times=times)), T0)
    exact.commit(T0 + 60)
    scraped = Scraped()
    fine = np.append(np.geomspace(0.01, 10, 200), np.inf)
    for second in range(60):
        inside = values[(times >= T0 + second) & (times < T0 + second + 1)]
        counts, _ = np.histogram(inside, np.concatenate([[0], fine]))
        scraped.count(second + 1, counts.tolist(), edges=fine, total=float(inside.sum()))
    edges = np.geomspace(0.05, 5, 9)
    got = density(scraped.series, edges, T0, T0 + 60, 6)
    want = density(exact.series[0], edges, T0, T0 + 60, 6)
    assert got.sum() == want.sum() == 2000
    assert np.abs(got.sum(axis=1) - want.sum(axis=1)).max() < 40
    assert got.sum(axis=0) == pytest.approx(want.sum(axis=0))


def test_the_density_of_a_long_series_counts_what_left_the_ring() -> None:
    store = Store(memory_bytes=64 << 20)
    info = SeriesInfo(0, "s", "ttft_seconds", "distribution")
    store.apply(0, Batch(runs=(RunInfo("s", "s"),), series=(info,)), T0)
    for part in range(30):
        times = T0 + part * 10 + np.linspace(0, 9.9, 10_000)
        store.apply(0, Batch(samples=samples(np.zeros(10_000), np.ones(10_000), times=times)), T0)
        store.commit(float(times[-1]))
    assert len(store.series[0].window(1 << 20).time) < 300_000
    table = density(store.series[0], np.array([0.5, 2.0, 4.0]), T0, T0 + 300, 10)
    assert table[1].sum() == 0
    assert table[0].sum() == pytest.approx(300_000, rel=0.05)
    assert isinstance(store.series[0], Series)
    assert not isinstance(store.series[0], BucketedSeries)
