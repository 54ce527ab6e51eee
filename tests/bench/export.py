"""What a page for Prometheus costs the relay: 1000 ranks of 50 metrics, more than fits on it."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_latest
from tests.bench.table import Row, below

from llmtop.clock import SystemClock
from llmtop.export.pages import Pages
from llmtop.export.server import QUICKLY
from llmtop.relay.relay import JOB_SECONDS
from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo, SeriesKind
from llmtop.store import Store

RANKS = 1000
KINDS: tuple[SeriesKind, ...] = (*("gauge",) * 47, "counter", "counter", "distribution")
POINTS = 100
SCRAPE_SECONDS = 15.0
"""Prometheus's usual interval is 15 s to a minute."""


def export() -> Iterator[Row]:
    """Yield the CPU time of each part, and what it is of a core."""
    engine, clock = SimpleNamespace(store=_filled(), source_states=()), SystemClock()
    pages = Pages((), clock)
    asked, turns, began = pages.ask(), [], time.thread_time()
    while not asked.done():
        turn = time.thread_time()
        pages.turn(engine, clock.monotonic() + JOB_SECONDS)  # type: ignore[arg-type]
        turns.append(time.thread_time() - turn)
    made = time.thread_time() - began
    page = asked.result()
    yield Row(f"made: {page.samples:,} samples, {page.left_out:,} left out",
              f"{made:.2f} s in {len(turns)} turns")
    yield below("  the longest turn", max(turns) * 1e3, 100, "ms")
    written = 0.0
    for name, write in (("text", generate_latest), ("OpenMetrics", open_latest)):
        began = time.thread_time()
        body = write(page)
        wrote = time.thread_time()
        small = gzip.compress(body, QUICKLY)
        zipped = time.thread_time()
        written = max(written, zipped - began)
        yield Row(f"written as {name}: {len(body) / 1e6:.1f} MB, zipped {len(small) / 1e6:.2f} MB",
                  f"{wrote - began:.2f} + {zipped - wrote:.2f} s")
    share = (made + written) / SCRAPE_SECONDS * 100
    yield below(f"asked for every {SCRAPE_SECONDS:.0f} s", share, 10, "% of a core")


def _filled() -> Store:
    now, store = time.time(), Store()
    runs = tuple(RunInfo(f"r{rank}", "big", host=f"node-{rank // 8}", rank=rank, world_size=RANKS,
                         started=now) for rank in range(RANKS))  # fmt: skip
    series = tuple(SeriesInfo(rank * len(KINDS) + at, f"r{rank}", f"metric_{at}", kind)
                   for rank in range(RANKS) for at, kind in enumerate(KINDS))
    store.apply(0, Batch(runs=runs, series=series, alive=tuple(run.key for run in runs)), now)
    keys = np.arange(len(series), dtype=np.uint32)
    for step in range(POINTS):
        n = len(keys)
        points = Samples(keys, np.full(n, now), np.full(n, step), np.random.rand(n))
        store.apply(0, Batch(samples=points), now)
        store.commit(now)
    return store
