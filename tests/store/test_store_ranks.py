"""One metric over many ranks."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import Session

from llmtop.store import Store, cross_rank


def test_the_spread_over_ranks_is_minimum_median_maximum():
    store = Store(memory_bytes=8 << 20)
    for rank in range(4):
        session = Session(store, key=str(rank), rank=rank, world_size=4, first_key=10 * rank)
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
    assert found.mean[0] == pytest.approx(1.5)
    assert found.mean[9] == pytest.approx(1.0)
    assert found.high[9] == 2.0
    assert np.isnan(found.mean[5])
    assert found.bad[5] == 400
    assert found.n.sum() == 3800 - 400


def test_no_ranks_are_no_data():
    found = cross_rank([], "time", 0, 1, 5)
    assert np.isnan(found.mean).all()
    assert found.n.sum() == 0
