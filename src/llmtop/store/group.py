"""Many series looked at at once: what a chart of a thousand ranks asks four times a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmtop.store.arena import I8
from llmtop.store.points import Points
from llmtop.store.rings import latest_of
from llmtop.store.series import Axis, Series


class Group:
    """Some series of one run, one or more, in a given order."""

    def __init__(self, series: Sequence[Series]) -> None:
        self.series = tuple(series)
        self.ids = np.array([one.id for one in series], np.int64)
        self.table = series[0]._table
        self.run = series[0].run

    @property
    def version(self) -> int:
        """Grows when one of them grows."""
        return int(self.table.version[self.ids].max())

    @property
    def nonfinite(self) -> int:
        """Points of all that are NaN or infinite."""
        return int(self.table.bad[self.ids].sum())

    @property
    def last(self) -> Points:
        """The newest point of each; NaN where there is none."""
        table, ids = self.table, self.ids
        return Points(table.last_time[ids], table.last_step[ids], table.last_value[ids])

    def extent(self, axis: Axis) -> tuple[float, float] | None:
        """Return where the first and the last point lie, None when none lies on this axis."""
        table, ids = self.table, self.ids
        if axis == "step":
            low, high = int(table.low_step[ids].min()), int(table.high_step[ids].max())
            return (float(low), float(high)) if high >= 0 else None
        origin = self.run.started if axis == "elapsed" else 0.0
        first, last = float(table.low_time[ids].min()), float(table.high_time[ids].max())
        return (first - origin, last - origin) if last >= first else None

    def newest_with_steps(self) -> Series | None:
        """Return the series of steps whose newest point is the newest, None if none has any."""
        table, ids = self.table, self.ids
        known = (table.n[ids] > 0) & (table.high_step[ids] >= 0)
        if not known.any():
            return None
        return self.series[int(np.where(known, table.last_time[ids], -np.inf).argmax())]

    def windows(self, count: int) -> tuple[Points, I8]:
        """Return the newest `count` points of each as rows, and how many each has.

        Returns:
            Points whose arrays have the shape (series, count), right-aligned; before the first
            point, steps are -1 and the others NaN.
        """
        points, held = latest_of(self.table, self.ids, np.full(len(self.ids), count))
        there = np.arange(count) >= count - held[:, None]
        time, step = np.full(there.shape, np.nan), np.full(there.shape, -1, np.int64)
        value = time.copy()
        time[there], step[there], value[there] = points
        return Points(time, step, value), held
