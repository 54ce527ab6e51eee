"""Many series in a small budget: memory stays inside it, and every chart shows its spike."""

from __future__ import annotations

import numpy as np
from feeding import Session, samples

from llmtop.samples import Batch
from llmtop.store import Store

SERIES, POINTS, TICK = 1000, 2000, 50
BUDGET = 16 << 20


def test_every_one_of_a_thousand_series_shows_its_spike_within_the_budget():
    store = Store(memory_bytes=BUDGET)
    session = Session(store)
    session.define(*(f"layer.{k}" for k in range(SERIES)))
    spikes = np.random.default_rng(0).integers(0, POINTS, SERIES)
    keys = np.tile(np.arange(SERIES), TICK)
    for first in range(0, POINTS, TICK):
        steps = np.repeat(np.arange(first, first + TICK), SERIES)
        values = np.where(spikes[keys] == steps, 99.0, np.sin(steps * 1e-2))
        batch = samples(keys, values, steps=steps, times=session.now + steps * 0.01)
        store.apply(session.source, Batch(samples=batch, alive=(session.key,)), session.now)
        session.commit()
        assert store.memory_used <= BUDGET
    assert store.samples == SERIES * POINTS
    assert store.dropped == 0
    for k, series in enumerate(store.series):
        columns = series.buckets("step", 0, POINTS - 1, 100)
        assert np.nanmax(columns.high) == 99.0, k
        # A spike may show in every column that its bucket touches, so in few, and in its own.
        hit = np.flatnonzero(columns.high == 99.0)
        assert spikes[k] * 100 // POINTS in range(hit[0], hit[-1] + 1)
        assert len(hit) <= 10
