"""What a server's numbers come to: phases, promises kept, ratios of sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from llmtop.rules.serving import goodput, kept, of_requests, phases, ratio
from llmtop.samples import Batch, Bucketed, RunInfo, Samples, SeriesInfo
from llmtop.store import Run, Store

T0 = 1_750_000_000.0
NOW = T0 + 100.0


def server(
    latencies: Mapping[str, list[float]], counters: Mapping[str, list[float]] | None = None,
) -> Run:
    """A server whose values came a second apart, up to NOW."""
    store = Store(memory_bytes=64 << 20)
    store.apply(0, Batch(runs=(RunInfo("s", "s", phase="serve"),), alive=("s",)), NOW)
    kinds = [(name, "distribution", values) for name, values in latencies.items()]
    kinds += [(name, "counter", values) for name, values in (counters or {}).items()]
    for key, (name, kind, values) in enumerate(kinds):
        n = len(values)
        samples = Samples(np.full(n, key, np.uint32), NOW - np.arange(n)[::-1],
                          np.full(n, -1), np.array(values))
        info = SeriesInfo(key, "s", name, kind)  # type: ignore[arg-type]
        store.apply(0, Batch(series=(info,), samples=samples), NOW)
    store.commit(NOW)
    return store.runs[0]


def test_phases_that_are_told_are_taken_as_they_are() -> None:
    run = server({"queue_seconds": [1.0, 3.0], "prefill_seconds": [0.5], "decode_seconds": [4.0],
                  "ttft_seconds": [9.0], "e2e_seconds": [99.0]})
    found = phases(run, NOW)
    assert found is not None
    assert not found.derived
    assert [(part.name, part.seconds) for part in found.parts] == [
        ("queue", 2.0), ("prefill", 0.5), ("decode", 4.0)]


def test_phases_that_are_not_told_lie_between_what_is() -> None:
    found = phases(server({"queue_seconds": [0.5], "ttft_seconds": [2.0], "e2e_seconds": [6.0]}),
                   NOW)
    assert found is not None
    assert found.derived
    assert [(part.name, part.seconds) for part in found.parts] == [
        ("queue", 0.5), ("prefill", 1.5), ("decode", 4.0)]
    without = phases(server({"ttft_seconds": [2.0], "e2e_seconds": [6.0]}), NOW)
    assert without is not None
    assert [part.name for part in without.parts] == ["prefill", "decode"]
    assert phases(server({"ttft_seconds": [2.0]}), NOW) is None
    assert phases(server({}), NOW) is None


def test_goodput_of_one_promise_is_exact_and_of_several_between_bounds() -> None:
    run = server({"ttft_seconds": [0.1] * 90 + [1.0] * 10, "e2e_seconds": [1.0] * 95 + [9.0] * 5})
    one = goodput(kept(run, {"ttft_seconds": 0.2}, NOW))
    assert one is not None
    assert (one.least, one.most) == pytest.approx((0.9, 0.9))
    two = goodput(kept(run, {"ttft_seconds": 0.2, "e2e_seconds": 5.0}, NOW))
    assert two is not None
    assert (two.least, two.most) == pytest.approx((0.85, 0.9))


def test_gaps_between_tokens_are_kept_or_not_but_are_no_requests() -> None:
    parts = kept(server({"itl_seconds": [0.01] * 99 + [1.0]}), {"itl_seconds": 0.05}, NOW)
    assert parts[0].share == pytest.approx(0.99)
    assert goodput(parts) is None
    assert kept(server({}), {"itl_seconds": 0.05}, NOW) == []


def test_a_promise_about_gaps_counts_a_request_by_its_mean_gap() -> None:
    promised = of_requests({"ttft_seconds": 0.2, "itl_seconds": 0.05})
    assert promised == {"ttft_seconds": 0.2, "tpot_seconds": 0.05}
    assert of_requests({"tpot_seconds": 0.04, "itl_seconds": 0.05}) == {"tpot_seconds": 0.04}
    found = goodput(kept(server({
        "ttft_seconds": [0.1] * 8, "itl_seconds": [0.01] * 40 + [0.4] * 8,
        "tpot_seconds": [0.02] * 6 + [0.07] * 2,
    }), promised, NOW))  # fmt: skip
    assert found is not None
    assert (found.least, found.most) == pytest.approx((0.75, 0.75))


def test_goodput_from_buckets_is_as_uncertain_as_they_are_wide() -> None:
    store = Store(memory_bytes=64 << 20)
    info = SeriesInfo(0, "s", "ttft_seconds", "distribution", bucketed=True)
    part = Bucketed(0, NOW - 1, NOW, np.array([0.1, 1.0, np.inf]), np.array([80, 20, 0]), 10.0)
    store.apply(0, Batch(runs=(RunInfo("s", "s"),), series=(info,), bucketed=(part,)), NOW)
    store.commit(NOW)
    found = goodput(kept(store.runs[0], {"ttft_seconds": 0.2}, NOW))
    assert found is not None
    assert (found.least, found.most) == pytest.approx((0.8, 1.0))


def test_a_ratio_is_of_sums_or_the_gauge_that_is_told() -> None:
    run = server({}, {"prefix_cache_hits": [0.0, 1.0, 90.0], "prefix_cache_queries": [0, 9, 91.0]})
    assert ratio(run, "prefix_cache_hit_rate", NOW) == pytest.approx(0.91)
    assert np.isnan(ratio(run, "spec_decode_acceptance", NOW))
    idle = server({}, {"prefix_cache_hits": [0.0, 0.0], "prefix_cache_queries": [0.0, 0.0]})
    assert np.isnan(ratio(idle, "prefix_cache_hit_rate", NOW))
