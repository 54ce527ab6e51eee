"""Folded history that a source sends: rows of BUCKET_DTYPE to the buckets of their series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import Ends, Sample
from llmtop.store import folding
from llmtop.store.arena import I8
from llmtop.store.buckets import Buckets
from llmtop.store.points import changes
from llmtop.store.table import NO_STEP_LOW, SeriesTable


def load(
    table: SeriesTable, series: I8, rows: NDArray[np.void], ends: Mapping[int, Ends]
) -> list[int]:
    """Put rows[i] into the buckets of series[i]; return the ids of the series that changed.

    Rows without points, or whose times are not finite, say nothing and are left out. The first
    and last point are those of `ends` (by series), else what the outer buckets say of them.
    """
    usable = (rows["n"] > 0) & np.isfinite(rows["t_first"]) & np.isfinite(rows["t_last"])
    changed = []
    for one, some in _by_series(series[usable], rows[usable]):
        folded = _folded(some)
        _describe(table, one, folded, ends.get(one) or _outermost(some, folded))
        folding.load(table, one, folded)
        changed.append(one)
    return changed


def _by_series(series: I8, rows: NDArray[np.void]) -> Iterator[tuple[int, NDArray[np.void]]]:
    order = np.argsort(series, kind="stable")
    series, rows = series[order], rows[order]
    starts = changes(series)
    for start, some in zip(starts.tolist(), np.split(rows, starts[1:]), strict=False):
        yield int(series[start]), some


def _folded(rows: NDArray[np.void]) -> Buckets:
    """Return the rows as buckets; one without a finite minimum has no finite point."""
    finite = np.isfinite(rows["min"]) & np.isfinite(rows["max"]) & np.isfinite(rows["sum"])
    count = rows["n"].astype(np.int64)
    known = rows["step_last"] >= 0
    low_step = np.where(known, np.maximum(rows["step_first"], 0), NO_STEP_LOW)
    return Buckets(
        np.minimum(rows["t_first"], rows["t_last"]), np.maximum(rows["t_first"], rows["t_last"]),
        np.minimum(low_step, np.where(known, rows["step_last"], NO_STEP_LOW)),
        np.where(known, np.maximum(rows["step_last"], low_step), -1),
        np.where(finite, rows["sum"], 0.0),
        np.where(finite, rows["min"], np.inf).astype(np.float64),
        np.where(finite, rows["max"], -np.inf).astype(np.float64),
        rows["last"].astype(np.float64), count, np.where(finite, 0, count),
        # Where a publisher paused inside its own buckets is not told.
        rows["t_first"].astype(np.float64), rows["t_first"].astype(np.float64),
    )  # fmt: skip


def _outermost(rows: NDArray[np.void], folded: Buckets) -> Ends:
    """Return about the first and the last point: the first's value is its bucket's mean."""
    oldest, newest = int(folded.low_time.argmin()), int(folded.high_time.argmax())
    finite = int(folded.count[oldest] - folded.bad[oldest])
    return Ends(
        Sample(
            float(folded.low_time[oldest]), int(rows["step_first"][oldest]),
            float(folded.sum[oldest]) / finite if finite else float("nan"),
        ),
        Sample(
            float(folded.high_time[newest]), int(folded.high_step[newest]),
            float(folded.last[newest]),
        ),
    )  # fmt: skip


def _describe(table: SeriesTable, series: int, folded: Buckets, ends: Ends) -> None:
    """Bring the columns of one series in line with history it is about to get."""
    first, last = ends
    if not table.n[series] or first.time < table.first_time[series]:
        table.first_time[series], table.first_step[series] = first.time, first.step
        table.first_value[series] = first.value
    if not table.n[series] or last.time > table.last_time[series]:
        table.last_time[series], table.last_step[series] = last.time, last.step
        table.last_value[series] = last.value
    table.n[series] += folded.count.sum()
    table.bad[series] += folded.bad.sum()
    table.low_time[series] = min(table.low_time[series], folded.low_time.min())
    table.high_time[series] = max(table.high_time[series], folded.high_time.max())
    table.low_step[series] = min(table.low_step[series], folded.low_step.min())
    table.high_step[series] = max(table.high_step[series], folded.high_step.max())
    table.reached[series] = max(table.reached[series], folded.high_step.max())
