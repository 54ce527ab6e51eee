"""What the store holds of one session, taken out exactly once: folded history, then raw points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import BUCKET_DTYPE, NO_STEP, Bucketed
from llmtop.store import buckets, rings
from llmtop.store.bucketed import BucketedSeries
from llmtop.store.histogram import ORDERS, order_of_bins, orders
from llmtop.store.points import Points
from llmtop.store.runs import Run
from llmtop.store.series import EVERYTHING, Series
from llmtop.store.store import Store
from llmtop.store.table import NO_STEP_LOW

BIN_OF_ORDER = np.argsort(order_of_bins(np.arange(ORDERS))).astype(np.uint16)
"""The wire bin of each rank among all bins."""


class Replica(NamedTuple):
    """One series: every point it ever had is in `rows` or in `points`, none in both."""

    series: Series
    rows: NDArray[np.void]
    """Of BUCKET_DTYPE, `series` 0: what is older than the raw points, oldest first."""
    bins: NDArray[np.uint16]
    """Wire bins of a distribution's points in `rows`, and how many are in each."""
    counts: NDArray[np.uint32]
    points: Points


def is_settled(store: Store, source: int, key: str) -> bool:
    """Tell whether no point of a session waits for the store to decide on a rollback."""
    session = store._sessions.find(source, key)
    return session is None or session.held_since is None


def run_of(store: Store, source: int, key: str) -> Run | None:
    """Return the run that a session belongs to."""
    session = store._sessions.find(source, key)
    return None if session is None else session.run


def replicas(store: Store, source: int, key: str) -> Iterator[Replica]:
    """Yield every series of samples that a session feeds, earlier attempts first."""
    for series in _fed(store, source, key):
        if series.n and not isinstance(series, BucketedSeries):
            yield _replica(series)


def bucketed(store: Store, source: int, key: str) -> Iterator[tuple[Series, list[Bucketed]]]:
    """Yield every series of counts by bucket that a session feeds, and its looks, oldest first."""
    for series in _fed(store, source, key):
        if isinstance(series, BucketedSeries):
            held = series.increments
            rows = zip(held.start, held.stop, held.counts, held.sum, strict=True)
            yield series, [
                Bucketed(0, float(start), float(stop), held.bounds, counts, float(total))
                for start, stop, counts, total in rows
            ]


def _fed(store: Store, source: int, key: str) -> Iterator[Series]:
    session = store._sessions.find(source, key)
    if session is not None:
        # A run of 1000 ranks has 50 000 series: those of one rank are found without a loop.
        table = store._table
        mine = np.flatnonzero(table.session[: table.count] == session.index)
        yield from (store.series[number] for number in mine.tolist())


def _replica(series: Series) -> Replica:
    table = series._table
    points = rings.latest(table, series.id, EVERYTHING)
    old = buckets.read(table, series.id)
    gone = series.n - len(points.time)
    upto = np.cumsum(old.count)
    used = int(np.searchsorted(upto, gone)) + 1 if gone else 0
    finite = (old.count - old.bad)[:used].astype(np.int64)
    bad, total = old.bad[:used].astype(np.int64), old.sum[:used].copy()
    high_time, high_step = old.high_time[:used].copy(), old.high_step[:used].copy()
    twice = int(upto[used - 1]) - gone if used else 0
    again = points.value[:twice]
    if twice:
        # The newest points of the bucket astride are raw points too: they go once.
        sound = np.isfinite(again)
        finite[-1] = max(int(finite[-1] - sound.sum()), 0)
        bad[-1] = max(int(bad[-1] - (twice - sound.sum())), 0)
        total[-1] -= again[sound].sum()
        high_time[-1] = max(old.low_time[used - 1], min(high_time[-1], points.time[0]))
        first = int(points.step[0])
        if 0 <= first < high_step[-1]:
            high_step[-1] = max(first, int(min(old.low_step[used - 1], first)))
    rows = np.zeros(used, BUCKET_DTYPE)
    rows["n"], rows["sum"], rows["last"] = finite, total, old.last[:used]
    rows["t_first"], rows["t_last"] = old.low_time[:used], high_time
    low_step = old.low_step[:used]
    rows["step_first"] = np.where(low_step >= NO_STEP_LOW, NO_STEP, low_step)
    rows["step_last"] = high_step
    with np.errstate(over="ignore"):
        rows["min"], rows["max"] = old.low[:used], old.high[:used]
        mean = total / np.maximum(finite, 1)
    rows["last"] = np.where(np.isfinite(rows["last"]), rows["last"], mean)
    if bad.any():
        odd = rows.copy()
        odd["n"], odd["sum"] = bad, 0.0
        odd["min"] = odd["max"] = odd["last"] = np.nan
        rows = np.stack([rows, odd], axis=1).ravel()
    # The histogram holds every folded point, also those that are still among the raw ones.
    fresh = int(table.written[series.id] - table.folded[series.id])
    bins, counts = _bins(series, points.value[: len(points.value) - fresh])
    return Replica(series, rows[rows["n"] > 0], bins, counts, points)


def _bins(
    series: Series, again: NDArray[np.float64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """Return a distribution's counts by wire bin, without those of the values in `again`."""
    histogram = series._table.histograms.get(series.id)
    if histogram is None:
        return np.empty(0, np.uint16), np.empty(0, np.uint32)
    whole = histogram.total()
    counts = np.zeros(ORDERS, np.int64)
    counts[whole.orders] = whole.counts
    np.subtract.at(counts, orders(again[np.isfinite(again)]), 1)
    ranks = np.flatnonzero(counts > 0)
    return BIN_OF_ORDER[ranks], np.minimum(counts[ranks], 0xFFFFFFFF).astype(np.uint32)
