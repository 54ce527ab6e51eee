"""The same metric of many devices, cut into columns in one go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmtop.store import rings
from llmtop.store.arena import F8
from llmtop.store.columns import Sheet
from llmtop.store.series import Series


def time_means(series: Sequence[Series], start: float, stop: float, count: int) -> F8:
    """Return the means of several series over time, column by column, shape (series, count).

    They are cut in one go where all that lies in start..stop is held as raw points.
    """
    table, ids = series[0]._table, np.array([one.id for one in series])
    held = np.minimum(table.written[ids], table.raw_room[ids])
    if table.bad[ids].any() or (table.n[ids] > held).any():
        return np.array([one.buckets("time", start, stop, count).mean for one in series])
    points, counts = rings.latest_of(table, ids, held)
    edges = Sheet(start, stop, count).edges
    column = np.searchsorted(edges, points.time, side="right") - 1
    column[points.time == edges[-1]] = count - 1
    inside = (column >= 0) & (column < count)
    at = (np.repeat(np.arange(len(ids)) * count, counts) + column)[inside]
    shape = len(ids), count
    n = np.bincount(at, minlength=len(ids) * count).reshape(shape)
    total = np.bincount(at, points.value[inside], len(ids) * count).reshape(shape)
    means: F8 = np.divide(total, n, out=np.full(shape, np.nan), where=n > 0)
    return means
