"""Dividing what a session sends among the attempts of its run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import I8
from llmtop.store.points import Points, changes
from llmtop.store.rollback import HOLD_SECONDS, judge
from llmtop.store.runs import Run, Session
from llmtop.store.sessions import MAX_ATTEMPTS, Sessions
from llmtop.store.table import NO_STEP_LOW, SeriesTable


class Attempts:
    """The attempts of all runs, as their points tell of them."""

    def __init__(
        self, table: SeriesTable, sessions: Sessions, succeed: Callable[[int], int]
    ) -> None:
        """Divide series of `table`; `succeed` returns the id that follows a retired series."""
        self._table = table
        self._sessions = sessions
        self._succeed = succeed

    def current(self, series: I8) -> I8:
        """Return the ids with those of retired series replaced by their successors'."""
        retired = self._table.retired[series]
        if not retired.any():
            return series
        series = series.copy()
        for old in np.unique(series[retired]).tolist():
            series[series == old] = self._succeed(old)
        return series

    def divide(
        self, suspects: I8, series: I8, points: Points, now: float, settle: bool
    ) -> tuple[I8, NDArray[np.bool_]]:
        """Return the ids after rollbacks, and which points are to wait.

        Args:
            suspects: ids of series in which some step is lower than one before.
            series: shape (n,), the id of each point in order of arrival.
            points: the points.
            now: unix seconds.
            settle: nothing may wait.
        """
        series, held = series.copy(), np.zeros(len(series), dtype=np.bool_)
        feeds = self._table.session[series]
        for index in np.unique(self._table.session[suspects]).tolist():
            if index < 0:
                continue
            session = self._sessions.all[index]
            mine = np.flatnonzero((feeds == index) & (points.step >= 0))
            held[self._divide_one(session, mine, series, points, now, settle)] = True
        return series, held

    def note(self, series: I8, now: float) -> set[Run]:
        """Bring sessions in line with points just stored for `series`; return their runs."""
        feeds = self._table.session[series]
        order = np.argsort(feeds, kind="stable")
        series, feeds = series[order], feeds[order]
        starts = changes(feeds)
        seen = np.maximum.reduceat(self._table.last_time[series], starts)
        began = np.minimum.reduceat(self._table.low_time[series], starts)
        retired = self._table.retired[series]
        high = np.where(retired, -1, self._table.reached[series])
        low = np.where(retired, NO_STEP_LOW, self._table.low_step[series])
        high, low = np.maximum.reduceat(high, starts), np.minimum.reduceat(low, starts)
        touched = set()
        known, columns = self._sessions.all, (feeds[starts], seen, began, high, low)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for index, last, first, highest, lowest in rows:
            session = known.get(index)
            if session is None:
                continue
            run = session.run
            session.hear(last if last < now else now)
            if highest > session.high_step:
                session.high_step = highest
            attempt = run.attempts[session.attempt - 1]
            if attempt.first_step < 0 and lowest < NO_STEP_LOW:
                attempt.first_step = lowest
            if not session.info.started and not 0 < run.started <= first:
                run.started = first
            touched.add(run)
        return touched

    def _divide_one(
        self, session: Session, mine: I8, series: I8, points: Points, now: float, settle: bool
    ) -> I8:
        """Move one session's points after a rollback; return which of them must wait."""
        since = session.held_since if session.held_since is not None else now
        final = settle or session.ended is not None or now - since >= HOLD_SECONDS
        session.held_since = None
        begun = False
        while session.run.attempt < MAX_ATTEMPTS or session.attempt < session.run.attempt:
            found = judge(self._table, session, series[mine], points.step[mine], final=final)
            if found.undecided >= 0:
                session.held_since = since
                return mine[found.undecided :]
            if found.rollback < 0 or (begun and not found.rollback):
                break
            begun = True
            stepped = set(series[mine].tolist())
            mine = mine[found.rollback :]
            self._begin(session, stepped, float(points.time[mine[0]]))
            series[mine] = self.current(series[mine])
        return mine[:0]

    def _begin(self, session: Session, stepped: set[int], started: float) -> None:
        """Move a session on: to its run's attempt if others went ahead, else to a new one."""
        run = session.run
        if session.attempt == run.attempt:
            run.begin_attempt(started)
        session.attempt = run.attempt
        session.high_step = -1
        for series in session.names.values():
            if series in stepped or self._table.reached[series] >= 0:
                self._table.retired[series] = True
