"""Items of formats -> batches: runs, ranks and series get their keys, points become columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from llmtop import metrics
from llmtop.formats.base import About, End, FileFormat, Item, LineFormat, Note, Points, Skipped
from llmtop.samples import NO_STEP, Batch, Event, RunEnd, RunInfo, Samples, SeriesInfo
from llmtop.sources.logs import Columns, Log, Session, is_copy, run_key
from llmtop.sources.naming import Names
from llmtop.wire import clean_name

BATCH_ROWS = 1 << 16
"""Samples after which a batch is full: 1.8 MB, as the hub's."""
MAX_SERIES = 1 << 16
"""Series of one source: what a store holds."""
MAX_RUNS = 1024
"""Runs and ranks of one log; what is of later ones is counted as lost."""
MAX_EVENTS = 4096
"""Events of one batch; of more, the newest are kept: a run keeps 1000."""
MAX_REASONS = 64
"""Different reasons for something left out that are counted one by one."""
LARGEST_STEP = 1 << 62
LOG = "log"
"""The level of an event that is a plain line of the log."""
Format = LineFormat | FileFormat

LOSS = frozenset({"loss", "lm loss", "train/loss", "train_loss_step", "reduced_train_loss"})
"""Names that only training logs: evaluations may follow the end of it."""


class Collector:
    """Gathers what one source's logs hold until it is taken as a batch."""

    def __init__(self) -> None:
        self.names = Names()
        self.rows = 0
        self._series = 0
        self._runs: dict[str, RunInfo] = {}
        self._new_series: list[SeriesInfo] = []
        self._events: list[Event] = []
        self._ends: list[RunEnd] = []
        self._alive: set[str] = set()
        self._dropped = 0
        self._keys: list[int] = []
        self._values: list[float] = []
        self._steps: list[int] = []
        self._times: list[float] = []
        self._counts: list[int] = []

    @property
    def full(self) -> bool:
        """Whether a batch should be taken before more is read."""
        return self.rows >= BATCH_ROWS

    def take(self, log: Log, found: Iterable[tuple[Format | None, Item]], now: float) -> None:
        """Take in items of a log; what has no time is of `now`."""
        for chosen, item in found:
            if type(item) is Points:
                self._point(log, chosen, item, now)
            elif isinstance(item, Note):
                self.event(log, item.level, item.text, item.time or now, item.step)
            elif isinstance(item, About):
                self._about(log, chosen, item)
            elif isinstance(item, End):
                session = self.session(log, item.run, None, chosen)
                if session is not None:
                    end = RunEnd(session.info.key, item.time or now, item.reason, item.text)
                    self._ends.append(end)
                    session.ended = True
            elif isinstance(item, Skipped):
                self.skip(log, item.reason, item.count)

    def event(
        self, log: Log, level: str, text: str, time: float, step: int = NO_STEP, run: str = ""
    ) -> None:
        """Note an event of the log's (first) run."""
        session = log.sessions.get((run, None)) or next(iter(log.sessions.values()), None)
        session = session or self.session(log, run, None, None)
        if session is not None:
            self._events.append(Event(session.info.key, time, level, text, step))
            if len(self._events) > MAX_EVENTS:
                del self._events[: MAX_EVENTS // 2]

    def skip(self, log: Log, reason: str, count: int = 1) -> None:
        """Count something that was left out of a log, and say so when it is the first of a kind."""
        if reason not in log.skipped and len(log.skipped) < MAX_REASONS:
            if log.sessions:
                session = next(iter(log.sessions.values()))
                self._events.append(Event(session.info.key, math.nan, "warning",
                                          f"left out: {reason}"))
            log.skipped[reason] += count
        elif reason in log.skipped:
            log.skipped[reason] += count

    def hear(self, log: Log) -> None:
        """Note that the log's runs are alive."""
        self._alive.update(session.info.key for session in log.sessions.values())

    def session(
        self, log: Log, run: str, rank: int | None, chosen: Format | None
    ) -> Session | None:
        """Return one run's or rank's session, introduced if it is new; None beyond MAX_RUNS."""
        known = log.sessions.get((run, rank))
        if known is not None:
            return known
        # A line without a rank and one of rank 0 are of the same process.
        twin = {None: 0, 0: None}.get(rank, rank) if rank in (None, 0) else rank
        known = log.sessions.get((run, twin))
        if known is None and len(log.sessions) >= MAX_RUNS:
            return None
        if known is None:
            known = Session(self._describe(log, run, rank, chosen))
            self._runs[known.info.key] = known.info
        log.sessions[run, rank] = known
        return known

    def _resume(self, session: Session) -> None:
        """Take back that a run is over: it was started again into the same log."""
        session.ended = False
        self._runs[session.info.key] = session.info
        self._ends = [end for end in self._ends if end.run != session.info.key]

    def batch(self, now: float, *, caught_up: bool = False) -> Batch | None:
        """Return what was gathered, None if that is nothing."""
        samples = None
        if self.rows:
            counts = np.array(self._counts)
            samples = Samples(
                np.array(self._keys, dtype=np.uint32),
                np.repeat(np.array(self._times, dtype=np.float64), counts),
                np.repeat(np.array(self._steps, dtype=np.int64), counts),
                np.array(self._values, dtype=np.float64),
            )
        elif not (self._runs or self._new_series or self._events or self._ends or self._alive
                  or self._dropped or caught_up):  # fmt: skip
            return None
        events = tuple(
            event if math.isfinite(event.time) else replace(event, time=now)
            for event in self._events
        )
        made = Batch(
            runs=tuple(self._runs.values()), series=tuple(self._new_series), samples=samples,
            events=events, ends=tuple(self._ends), alive=tuple(sorted(self._alive)),
            dropped=self._dropped, caught_up=caught_up,
        )  # fmt: skip
        self._runs, self._new_series, self._events, self._ends = {}, [], [], []
        self._alive, self._dropped, self.rows = set(), 0, 0
        self._keys, self._values, self._steps = [], [], []
        self._times, self._counts = [], []
        return made

    def _point(self, log: Log, chosen: Format | None, point: Points, now: float) -> None:
        session = log.sessions.get((point.run, point.rank))
        if session is None:
            session = self.session(log, point.run, point.rank, chosen)
        if session is None:
            self._dropped += len(point.values)
            return
        if not session.recognised and chosen is not None:
            self._recognise(log, chosen)
        values = point.values
        names = tuple(values)
        if session.ended and LOSS.intersection(names):
            self._resume(session)
        columns = session.columns.get(names)
        if columns is None:
            columns = self._define(session, names, chosen)
        if point.step != NO_STEP and type(chosen) is LineFormat:
            before = columns.last
            if before is not None and before.step == point.step and is_copy(before, point):
                log.copies += 1
                return
            columns.last = point
        keys = columns.keys
        if len(keys) != len(names):
            self._dropped += len(names)
            return
        self._keys += keys
        self._values += values.values()
        time = point.time
        if time is None:
            time = now
            if "times" not in log.tags:
                self._tag(log, "times", "arrival")
        log.points += 1
        step = point.step
        if step == NO_STEP and log.numbered and point.time is None and type(chosen) is LineFormat:
            step = log.points
            if "steps" not in log.tags:
                self._tag(log, "steps", "record")
        self._times.append(time)
        self._steps.append(step if -1 <= step < LARGEST_STEP else NO_STEP)
        self._counts.append(len(keys))
        self.rows += len(keys)

    def _define(
        self, session: Session, names: tuple[str, ...], chosen: Format | None
    ) -> Columns:
        units: Mapping[str, str] = {} if chosen is None else chosen.units
        keys = []
        for name in names:
            key = session.series.get(name)
            if key is None and self._series < MAX_SERIES:
                key = session.series[name] = self._series
                self._series += 1
                known = metrics.find(name)
                counts = known is not None and known.kind == "counter"
                self._new_series.append(SeriesInfo(
                    key, session.info.key, name, "counter" if counts else "gauge",
                    units.get(name, ""),
                    known.better if known else "",
                ))  # fmt: skip
            if key is not None:
                keys.append(key)
        columns = Columns(keys)
        if len(session.columns) < MAX_SERIES:
            session.columns[names] = columns
        return columns

    def _describe(
        self, log: Log, run: str, rank: int | None, chosen: Format | None
    ) -> RunInfo:
        about = log.about.get(run) or About()
        key = log.key + (f"#{run}" if run else "") + (f"@{rank}" if rank is not None else "")
        wanted = run or log.name
        if about.name and not log.exact_name:
            wanted = about.name
        tags = {**log.tags, **about.tags}
        return RunInfo(
            key=key, name=self.names.for_text(clean_name(wanted), run_key(log.key, run)), rank=rank,
            world_size=about.world_size,
            phase=about.phase or (chosen.phase if chosen else "train"),
            host=log.host, pid=log.pid, started=about.started or log.started,
            total_steps=about.total_steps, source=log.source, tags=tags,
        )  # fmt: skip

    def _about(self, log: Log, chosen: Format | None, item: About) -> None:
        old = log.about.get(item.run)
        log.about[item.run] = item if old is None else About(
            item.name or old.name, item.phase or old.phase,
            item.total_steps if item.total_steps is not None else old.total_steps,
            item.world_size if item.world_size is not None else old.world_size,
            item.started or old.started, {**old.tags, **item.tags}, item.run,
        )  # fmt: skip
        self._renew(log, item.run)

    def _recognise(self, log: Log, chosen: Format) -> None:
        """Take over what the format of a log tells of runs that were introduced before it."""
        for (run, _), session in log.sessions.items():
            if session.recognised:
                continue
            session.recognised = True
            old, about = session.info, log.about.get(run) or About()
            session.info = replace(old, phase=about.phase or chosen.phase,
                                   tags={**old.tags, "format": chosen.name})
            self._runs[old.key] = session.info

    def _tag(self, log: Log, key: str, value: object) -> None:
        log.tags[key] = value
        for run in {run for run, _ in log.sessions}:
            self._renew(log, run)

    def _renew(self, log: Log, run: str) -> None:
        """Introduce a run's sessions again, with what is known now; name and phase stay."""
        about = log.about.get(run) or About()
        for (name, _), session in log.sessions.items():
            if name != run:
                continue
            old = session.info
            changes: dict[str, Any] = {"tags": {**old.tags, **log.tags, **about.tags}}
            if about.total_steps is not None:
                changes["total_steps"] = about.total_steps
            if about.started:
                changes["started"] = about.started
            if about.world_size is not None:
                changes["world_size"] = about.world_size
            new = replace(old, **changes)
            if new != old:
                session.info = new
                self._runs[new.key] = new
