"""What a distribution knows of its observations since a time: all of them, or counts by bin."""

from __future__ import annotations

import numpy as np

from llmtop.store.histogram import Slice, orders
from llmtop.store.points import Points
from llmtop.store.table import SeriesTable


def observed(
    table: SeriesTable, series: int, raw: Points, since: float | None
) -> tuple[Points | Slice, bool]:
    """Return the observations of a series since a time, and whether they are all there were.

    Points where the raw ones reach back that far, and where there is nothing better; else counts,
    which begin within half a slice of the histogram.

    Args:
        table: of the store.
        series: its id.
        raw: the points its ring holds, oldest first.
        since: unix seconds; None is the whole run.
    """
    histogram = table.histograms.get(series)
    begin = -np.inf if since is None else since
    windowed = begin > float(table.low_time[series])
    complete = len(raw.time) == int(table.n[series])
    if windowed and not table.time_mixed[series]:
        complete |= bool(len(raw.time)) and float(raw.time[0]) <= begin
    untimed = histogram is not None and not windowed and len(histogram.timeless.orders) > 0
    if histogram is None or (complete and not untimed):
        return raw.pick(raw.time >= begin) if windowed else raw, complete
    waiting = np.arange(len(raw.time), 0, -1) <= int(table.written[series] - table.folded[series])
    if windowed:
        # Slices may be wider than the window: they only tell where there is something older than
        # the points, of which those in such a slice are counted already.
        some = histogram.between(begin, float(raw.time.min(initial=np.inf)))
        found = histogram.total(some)
        inside = np.isin(np.floor(raw.time / histogram.width), some)
        fresh = raw.pick((raw.time >= begin) & (waiting | ~inside))
    else:
        found = histogram.total()
        fresh = raw.pick(waiting)
    counts = np.bincount(orders(fresh.value[np.isfinite(fresh.value)]))
    there = np.flatnonzero(counts)
    found.add(np.inf, -np.inf, there, counts[there])
    return found, False
