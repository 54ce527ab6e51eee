"""One metric of many devices."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import T0, Session

from llmtop.store import Store, time_means


@pytest.mark.parametrize("points", [30, 5000])
def test_means_of_many_are_those_of_each(points: int) -> None:
    store = Store(memory_bytes=8 << 20)
    for rank in range(3):
        session = Session(store, key=str(rank), rank=rank, world_size=3, first_key=10 * rank)
        values = np.arange(points) * (rank + 1.0)
        values[points // 2] = np.nan if rank == 2 else 1e9
        session.log("power", values[rank:], times=T0 + np.arange(rank, points))
        session.commit()
    every = store.runs[0].find("power")
    for series in (every[:2], every):
        means = time_means(series, T0 + 5, T0 + points - 1, 17)
        each = [one.buckets("time", T0 + 5, T0 + points - 1, 17).mean for one in series]
        np.testing.assert_allclose(means, each)
