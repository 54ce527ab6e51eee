"""What judging rules costs, and how soon a NaN is an alert."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
from tests.bench.table import Row, below

from llmtop.clock import ManualClock
from llmtop.engine import Engine
from llmtop.rules.alerts import Alerts
from llmtop.rules.load import Layer, built_in, merge
from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo
from llmtop.store import Store

RULES, NAMES, RANKS = 200, 50, 20
"""Rules; metrics and ranks, which make a thousand series."""
WARM_SECONDS, SECONDS = 330, 60
"""Ticks before the windows of five minutes are full, and those that are measured."""
LIMIT_PERCENT = 5.0
CONDITIONS = (
    "'m{k}' > 5", "mean('m{k}', 1m) > 4 and max('m{k}', 1m) > 6", "p99('m{k}', 5m) > 5",
    "median('m{k}', 128 points) > 4 or zscore('m{k}', 128 points) > 8",
)  # fmt: skip
NOW = 1e9
GIVE_UP_SECONDS = 10.0


def alerts() -> Iterator[Row]:
    """Yield the share of a core, then the pumps from a NaN to its alert."""
    rules = merge([Layer("bench", {
        f"r{number}": {"when": CONDITIONS[number % len(CONDITIONS)].format(k=number % NAMES),
                       "per": "rank", "for": "10s"}
        for number in range(RULES)
    })])  # fmt: skip
    for title, chosen in (
        (f"{RULES} rules per rank, {NAMES * RANKS:,} series at 1 Hz", rules),
        (f"the {len(built_in())} built-in rules, {NAMES * RANKS:,} series at 1 Hz", built_in()),
    ):
        yield below(title, 100 * _seconds_a_tick(Alerts(chosen)), LIMIT_PERCENT, "% of a core")
    pumps, seconds = _nan()
    yield Row("a NaN that is in the inbox is an alert after",
              f"{pumps} pump, {seconds * 1e3:.1f} ms", "1 pump", pumps == 1)


def _seconds_a_tick(judged: Alerts) -> float:
    store = Store()
    runs = tuple(RunInfo(f"r{rank}", "bench", rank=rank, started=NOW) for rank in range(RANKS))
    series = tuple(
        SeriesInfo(rank * NAMES + k, f"r{rank}", f"m{k}")
        for rank in range(RANKS) for k in range(NAMES)
    )
    store.apply(0, Batch(runs=runs, series=series), NOW)
    rng, spent = np.random.default_rng(0), 0.0
    count = NAMES * RANKS
    for tick in range(WARM_SECONDS + SECONDS):
        now = NOW + tick
        samples = Samples(np.arange(count, dtype=np.uint32), np.full(count, now),
                          np.full(count, tick), rng.normal(size=count))
        store.apply(0, Batch(samples=samples), now)
        changed = store.commit(now)
        began = time.process_time()
        judged.judge(store, changed, now)
        spent += time.process_time() - began if tick >= WARM_SECONDS else 0.0
    return spent / SECONDS


class _Told:
    """A source that yields what it is given, then ends."""

    name = "bench"

    def __init__(self, *batches: Batch) -> None:
        self._batches = batches

    def batches(self, stop: object) -> Iterator[Batch]:
        """Yield everything."""
        yield from self._batches


def _nan() -> tuple[int, float]:
    """Return the pumps, and the seconds, from a NaN in the inbox to its alert."""
    values = np.array([2.0] * 100 + [math.nan])
    n = len(values)
    samples = Samples(np.zeros(n, np.uint32), NOW + np.arange(n), np.arange(n), values)
    clock = ManualClock(NOW + n)
    running = Engine(Store(), [_Told(Batch(
        runs=(RunInfo("run", "bench", started=NOW),), series=(SeriesInfo(0, "run", "loss"),),
        samples=samples, alive=("run",),
    ))], clock)  # fmt: skip
    running.alerts.judge(running.store, frozenset(), clock.now)
    running.start()
    pumps, give_up = 0, time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        began = time.perf_counter()
        told = running.pump(clock.now).alerts
        pumps += running.store.samples > 0
        if any(alert.rule == "loss_nonfinite" for alert in told):
            break
    took = time.perf_counter() - began
    running.stop()
    return pumps, took
