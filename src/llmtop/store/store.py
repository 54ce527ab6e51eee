"""The store itself: batches in, series and runs out. One thread owns it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmtop import metrics
from llmtop.samples import (
    NO_STEP,
    Batch,
    Better,
    Bucketed,
    Ends,
    Histogram,
    Samples,
    SeriesInfo,
    SeriesKind,
)
from llmtop.store import batch as batches
from llmtop.store import history, rings
from llmtop.store.arena import I8
from llmtop.store.attempts import Attempts
from llmtop.store.bucketed import BucketedSeries
from llmtop.store.histogram import ENTRY_BYTES
from llmtop.store.keys import UNKNOWN, KeyMap
from llmtop.store.points import Points, joined
from llmtop.store.runs import Run
from llmtop.store.series import Series
from llmtop.store.sessions import Sessions
from llmtop.store.table import SeriesTable
from llmtop.wire import OVERFLOW_NAME, clean_name

DEFAULT_MEMORY_BYTES = 512 * 2**20
"""10 000 series with 256 raw points and 256 buckets each take half of it."""


class Store:
    """Every run, series and sample there is, within a memory budget."""

    def __init__(self, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> None:
        """Reserve the budget (lazily: what is not written to is not resident).

        Raises:
            MemoryError: not even a fraction of it could be had.
        """
        self.series: list[Series] = []
        """Every series; series[i].id == i."""
        self.samples = 0
        """Samples stored."""
        self.dropped = 0
        """Samples lost: told by a source, or of a series that no source introduced."""
        self.overflowed = 0
        """Names there was no room for; their samples are counted in overflow series."""
        self.version = 0
        """Grows with each change."""
        self.tells = True
        """Whether `commit` tells which series samples came of."""
        self._table = SeriesTable(memory_bytes)
        self._sessions = Sessions()
        self._attempts = Attempts(self._table, self._sessions, self._succeed)
        self._keys: dict[int, KeyMap] = {}
        self._overflow: dict[int, int] = {}
        self._pending: list[tuple[I8, Points]] = []
        self._loaded: set[int] = set()
        self._ends: dict[int, Ends] = {}
        """What the folded history of a series begins and ends with, where that was told."""
        self._bucketed: list[BucketedSeries] = []
        self._touched: set[Run] = set()

    @property
    def runs(self) -> list[Run]:
        """Every run, in order of first sight."""
        return self._sessions.runs

    @property
    def nonfinite(self) -> int:
        """Points that are NaN or infinite, of all series."""
        return int(self._table.bad.sum())

    @property
    def memory_used(self) -> int:
        """Bytes the series take, of the budget."""
        return self._table.memory_used() + sum(one.increments.bytes for one in self._bucketed)

    def apply(self, source: int, batch: Batch, now: float) -> None:
        """Take in what a source saw: everything but the samples, which wait for `commit`."""
        for info in batch.runs:
            self._touched.add(self._sessions.register(source, info, now).run)
        for described in batch.series:
            self._define(source, described)
        keys = self._keys.setdefault(source, KeyMap())
        if batch.buckets is not None:
            self._load(keys.look_up(batch.buckets["series"]), batch.buckets)
        for part in batch.histograms:
            self._merge(part, keys.get(part.series))
        for counted in batch.bucketed:
            self._count(counted, keys.get(counted.series))
        if batch.samples is not None and len(batch.samples):
            self._buffer(keys.look_up(batch.samples.series), batch.samples)
        self.dropped += batch.dropped
        self._touched |= self._sessions.hear(source, batch, now)
        self.version += 1

    def append(self, samples: Samples) -> None:
        """Buffer samples whose `series` are ids of this store (a rule's derived series)."""
        if len(samples):
            self._buffer(samples.series.astype(np.int64), samples)

    def commit(self, now: float, *, settle: bool = False) -> frozenset[int]:
        """Store everything buffered, in one append; return the ids of the series that changed.

        Points that may be the start of a rollback wait for the next commit, for two seconds at
        most; `settle` decides them now, for a caller that will not commit again.
        """
        changed, self._loaded = frozenset(self._loaded), set()
        if self._pending:
            with np.errstate(over="ignore", invalid="ignore"):
                grown = self._append(now, settle)
            if self.tells:
                changed = changed.union(grown.tolist()) if changed else frozenset(grown.tolist())
        self.tick(now)
        return changed

    def tick(self, now: float) -> None:
        """Bring the states of runs up to date, stale ones too; `commit` calls it."""
        for run in self.runs:
            touched = run in self._touched
            self.version += (touched or run.state == "live") and run.refresh(now)
            run.version += touched
        self._touched.clear()

    def add_series(
        self, run: Run, name: str, *, kind: SeriesKind = "gauge", unit: str = "",
        better: Better = "", rank: int | None = None, derived: bool = True,
    ) -> Series | None:  # fmt: skip
        """Add a series that no session feeds, in the run's current attempt; None when full."""
        return self._add(run, name, kind, unit, better, rank, run.attempt, -1, derived)

    def windows(self, series: I8, counts: I8) -> tuple[Points, I8]:
        """Return the last counts[i] raw points of each of some series, and how many are held.

        Points of one series are together, oldest first. A thousand series cost a few `window`s.
        """
        return rings.latest_of(self._table, series, counts)

    def _define(self, source: int, info: SeriesInfo) -> None:
        """Give a source's key its series: a known one of the session, a new one, or overflow."""
        session = self._sessions.find(source, info.run)
        if session is None:
            return
        keys, name = self._keys.setdefault(source, KeyMap()), clean_name(info.name)
        if name in session.names:
            keys.set(info.key, session.names[name])
            self._note_ends(session.names[name], info.ends)
            return
        added = self._add(
            session.run, name, info.kind, info.unit, info.better, session.rank,
            session.attempt, session.index, False, bucketed=info.bucketed,
        )  # fmt: skip
        if added is not None:
            session.names[name] = added.id
            keys.set(info.key, added.id)
            self._note_ends(added.id, info.ends)
            return
        overflow = self._overflow_of(session.run)
        self.overflowed += keys.get(info.key) != overflow
        keys.set(info.key, overflow)

    def _note_ends(self, series: int, ends: Ends | None) -> None:
        if ends is not None:
            self._ends[series] = ends

    def _add(
        self, run: Run, name: str, kind: SeriesKind, unit: str, better: Better,
        rank: int | None, attempt: int, session: int, derived: bool, *, bucketed: bool = False,
    ) -> Series | None:  # fmt: skip
        spread = kind == "distribution" and not bucketed
        number = self._table.add(distribution=spread, session=session)
        if number < 0:
            return None
        metric = metrics.find(name)
        made = BucketedSeries if bucketed else Series
        series = made(
            number, run, name, metric, kind, unit or (metric.unit if metric else ""),
            better or (metric.better if metric else ""), rank, attempt, derived, self._table,
        )  # fmt: skip
        self.series.append(series)
        if isinstance(series, BucketedSeries):
            self._bucketed.append(series)
            self._table.bucketed += 1
        run.add(series)
        return series

    def _overflow_of(self, run: Run) -> int:
        """Return the overflow series of a run, UNKNOWN when there is no room even for that."""
        if run.id not in self._overflow:
            number = self._table.add_overflow()
            if number < 0:
                return UNKNOWN
            series = Series(number, run, OVERFLOW_NAME, None, "counter", "", "", None, run.attempt,
                            False, self._table)  # fmt: skip
            self.series.append(series)
            run.add(series)
            self._overflow[run.id] = number
        return self._overflow[run.id]

    def _succeed(self, old: int) -> int:
        """Return the series that follows a retired one in its session's current attempt."""
        one, session = self.series[old], self._sessions.all[int(self._table.session[old])]
        newest = session.names[one.name]
        if not self._table.retired[newest]:
            return newest
        added = self._add(
            one.run, one.name, one.kind, one.unit, one.better, one.rank, session.attempt,
            session.index, False,
        )  # fmt: skip
        if added is None:
            # Better a chart that goes back on itself than points lost.
            self._table.retired[newest] = False
            self._table.reached[newest] = -1
            self._table.step_mixed[newest] = True
            return newest
        session.names[one.name] = added.id
        for keys in self._keys.values():
            keys.replace(newest, added.id)
        return added.id

    def _buffer(self, series: I8, samples: Samples) -> None:
        points = Points(samples.time, samples.step, samples.value)
        known = series != UNKNOWN
        if not known.all():
            self.dropped += int(len(series) - known.sum())
            series, points = series[known], points.pick(known)
        if self._overflow and (folded := self._table.overflow[series]).any():
            points = Points(
                points.time, np.where(folded, NO_STEP, points.step),
                np.where(folded, 1.0, points.value),
            )  # fmt: skip
        if len(series):
            self._pending.append((series, points))

    def _load(self, series: I8, rows: NDArray[np.void]) -> None:
        """Load folded history; of names without room only the number of points is kept."""
        known = series != UNKNOWN
        self.dropped += int(rows["n"][~known].sum())
        series, rows = self._attempts.current(series[known]), rows[known]
        folded = self._table.overflow[series]
        if folded.any():
            lost = rows[folded]
            points = Points(
                lost["t_last"], np.full(len(lost), NO_STEP, np.int64), lost["n"].astype(np.float64)
            )
            self._pending.append((series[folded], points))
        changed = history.load(self._table, series[~folded], rows[~folded], self._ends)
        self._loaded.update(changed)
        self.samples += int(rows["n"][~folded].sum())

    def _count(self, part: Bucketed, series: int) -> None:
        """Keep counts by bucket; their mean becomes the series' point, where there is one."""
        one = self.series[series] if series != UNKNOWN else None
        if not isinstance(one, BucketedSeries):
            self.dropped += one is None
            return
        if not one.take(part, self._table.entry_limit() * ENTRY_BYTES):
            self.dropped += 1
        elif n := int(part.counts.sum()):
            point = Points(
                np.array([part.stop]), np.array([NO_STEP]), np.array([part.sum / n])
            )
            self._pending.append((np.array([series]), point))

    def _merge(self, part: Histogram, series: int) -> None:
        histogram = self._table.histograms.get(series)
        if histogram is not None:
            histogram.merge(part.bins.astype(np.int64), part.counts.astype(np.int64))
            self._loaded.add(series)

    def _append(self, now: float, settle: bool) -> I8:
        table = self._table
        series = np.concatenate([part[0] for part in self._pending])
        points = batches.clean(joined([part[1] for part in self._pending]), now)
        self._pending = []
        series = self._attempts.current(series)
        batch = batches.sort(table, series, points)
        if batch.step_falls.any():
            suspects = batch.series[batch.step_falls]
            series, held = self._attempts.divide(suspects, series, points, now, settle)
            if held.any():
                self._pending.append((series[held], points.pick(held)))
                series, points = series[~held], points.pick(~held)
            if not len(series):
                return series
            batch = batches.sort(table, series, points)
        self.version += 1
        self.samples += len(series)
        batches.describe(table, batch, self.version)
        rings.append(table, batch.series, batch.counts, batch.points)
        self._touched |= self._attempts.note(batch.series, now)
        return batch.series
