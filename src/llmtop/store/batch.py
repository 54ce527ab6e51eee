"""Many samples of many series, brought into order by series: what one append works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8
from llmtop.store.points import Points, changes
from llmtop.store.table import NO_STEP_LOW, SeriesTable

LATEST_TIME = 1e11
"""Unix seconds beyond which a time is no time (year 5138; milliseconds end up there too)."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Points ordered by series, those of one series in order of arrival."""

    series: I8
    """Shape (k,): the series present, ascending."""
    starts: I8
    """Shape (k,): where each one's points begin."""
    counts: I8
    points: Points
    step_falls: NDArray[np.bool_]
    """Shape (k,): some step is below the one before it, in this batch or in the store."""
    time_falls: NDArray[np.bool_]


def clean(points: Points, now: float) -> Points:
    """Return the points with impossible times replaced by `now` and odd steps by "none"."""
    time, step = points.time, points.step
    # A comparison with NaN is false, so this one test finds everything that is not a time.
    good = np.abs(time) < LATEST_TIME
    if not good.all():
        time = np.where(good, time, now)
    if len(step) and (step.min() < -1 or step.max() >= NO_STEP_LOW):
        step = np.where((step < 0) | (step >= NO_STEP_LOW), -1, step)
    return Points(time, step, points.value)


def sort(table: SeriesTable, series: I8, points: Points) -> Sorted:
    """Order points by series."""
    # Ids fit 16 bits, for which the stable sort is a radix sort.
    order = np.argsort(series.astype(np.uint16), kind="stable")
    series, points = series[order], points.pick(order)
    starts = changes(series)
    present = series[starts]
    counts = np.diff(starts, append=len(series))
    return Sorted(
        present, starts, counts, points,
        _falls(points.step, starts, table.reached[present]),
        _falls(points.time, starts, table.high_time[present]),
    )  # fmt: skip


def describe(table: SeriesTable, batch: Sorted, version: int) -> None:
    """Bring the columns of the series in line with points about to be appended."""
    series, points, starts = batch.series, batch.points, batch.starts
    ends = starts + batch.counts - 1
    fresh = table.n[series] == 0
    if fresh.any():
        new, begin = series[fresh], starts[fresh]
        table.first_time[new] = points.time[begin]
        table.first_step[new] = points.step[begin]
        table.first_value[new] = points.value[begin]
    table.last_time[series] = points.time[ends]
    table.last_step[series] = points.step[ends]
    table.last_value[series] = points.value[ends]
    table.n[series] += batch.counts
    table.version[series] = version
    finite = np.isfinite(points.value)
    if not finite.all():
        table.bad[series] += np.add.reduceat((~finite).astype(np.int64), starts)
    low, high = _extent(points.time, starts, ends, batch.time_falls)
    table.low_time[series] = np.minimum(table.low_time[series], low)
    table.high_time[series] = np.maximum(table.high_time[series], high)
    if batch.time_falls.any():
        table.time_mixed[series] |= batch.time_falls
    step = points.step
    known = step if step.min() >= 0 else np.where(step < 0, NO_STEP_LOW, step)
    low_step, _ = _extent(known, starts, ends, batch.step_falls | (step[ends] < 0))
    _, high_step = _extent(step, starts, ends, batch.step_falls)
    table.low_step[series] = np.minimum(table.low_step[series], low_step)
    table.high_step[series] = np.maximum(table.high_step[series], high_step)
    table.reached[series] = np.maximum(table.reached[series], high_step)
    if batch.step_falls.any():
        table.step_mixed[series] |= batch.step_falls


def _falls(x: F8 | I8, starts: I8, high: F8 | I8) -> NDArray[np.bool_]:
    """Tell for each series whether some x is below the one before it."""
    fall = np.empty(len(x), dtype=np.bool_)
    np.less(x[1:], x[:-1], out=fall[1:])
    fall[starts] = x[starts] < high
    if not fall.any():
        return np.zeros(len(starts), dtype=np.bool_)
    return np.logical_or.reduceat(fall, starts)


def _extent(
    x: NDArray[np.generic], starts: I8, ends: I8, mixed: NDArray[np.bool_]
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the smallest and largest x of each series."""
    if not mixed.any():
        return x[starts], x[ends]
    return np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
