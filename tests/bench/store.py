"""What the store costs a sample, and what it still shows of 100 million."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from tests.bench.children import resident_mb
from tests.bench.table import Row

from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo
from llmtop.store import Store

SIZES = (50, 1000, 20_000)
TICK_POINTS = 20
"""Points a series logs between two commits: 5 a second at 4 Hz would be 1.25, 80 a second 20."""
TICKS = {50: 2000, 1000: 200, 20_000: 12}
LONG_SERIES, LONG_SAMPLES, LONG_TICK = 10_000, 100_000_000, 100
"""The long run: series, samples, and points a series a commit (a million samples)."""
COLUMNS = 200
SOURCE, NOW = 1, 1e9


def store() -> Iterator[Row]:
    """Yield nanoseconds a sample at each number of series, then the long run."""
    for count in SIZES:
        target, _ = _opened(count)
        costs = []
        for tick in range(TICKS[count]):
            batch = _batch(count, TICK_POINTS, tick)
            began = time.perf_counter()
            target.apply(SOURCE, batch, NOW + tick)
            target.commit(NOW + tick)
            costs.append(time.perf_counter() - began)
        each = np.array(costs) / (count * TICK_POINTS) * 1e9
        yield Row(f"append, {count:,} series, {count * TICK_POINTS:,} samples a commit",
                  f"{np.median(each):,.0f} ns a sample, p99 {np.quantile(costs, .99) * 1e3:.1f} ms")
    yield from _long()


def _long() -> Iterator[Row]:
    before = resident_mb()
    target, budget = _opened(LONG_SERIES)
    total = LONG_SAMPLES // LONG_SERIES
    spikes = np.random.default_rng(0).integers(0, total, LONG_SERIES)
    began, spent = time.perf_counter(), 0.0
    for tick in range(total // LONG_TICK):
        batch = _batch(LONG_SERIES, LONG_TICK, tick, spikes)
        at = time.perf_counter()
        target.apply(SOURCE, batch, NOW + tick)
        target.commit(NOW + tick)
        spent += time.perf_counter() - at
    shown = sum(
        bool(np.nanmax(series.buckets("step", 0, total - 1, COLUMNS).high) == 99.0)
        for series in target.series
    )
    name = f"{LONG_SAMPLES // 10**6} M samples of {LONG_SERIES:,} series"
    yield Row(f"{name}: stored", f"{LONG_SAMPLES / spent / 1e6:.1f} M/s, all in "
              f"{time.perf_counter() - began:.0f} s")
    yield Row(f"{name}: memory", f"{target.memory_used / 2**20:.0f} MiB, "
              f"resident +{resident_mb() - before:.0f} MB", f"≤ {budget / 2**20:.0f} MiB",
              target.memory_used <= budget and resident_mb() - before <= budget / 1e6 * 1.1)
    yield Row(f"{name}: charts with their spike", f"{shown:,}", f"{LONG_SERIES:,}",
              shown == LONG_SERIES and target.samples == LONG_SAMPLES)


def _opened(count: int) -> tuple[Store, int]:
    from llmtop.store.store import DEFAULT_MEMORY_BYTES

    target = Store()
    series = tuple(SeriesInfo(k, "run", f"layer.{k}", "gauge") for k in range(count))
    target.apply(SOURCE, Batch(runs=(RunInfo("run", "bench", started=NOW),), series=series), NOW)
    return target, DEFAULT_MEMORY_BYTES


def _batch(count: int, points: int, tick: int, spikes: np.ndarray | None = None) -> Batch:
    """Return `points` points of every series, as a publisher that logs them step by step does."""
    step = np.repeat(np.arange(tick * points, (tick + 1) * points), count)
    key = np.tile(np.arange(count, dtype=np.uint32), points)
    value = np.sin(step * 1e-3) + key * 1e-6
    if spikes is not None:
        value[spikes[key] == step] = 99.0
    return Batch(samples=Samples(key, NOW + step * 0.01, step, value))
