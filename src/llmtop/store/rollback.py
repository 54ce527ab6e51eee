"""Finding where training went back to a checkpoint, within one session.

The rule. A series' step that is below its largest so far is

- ignored, if the series is not on the session's own clock: its largest step is under LEADER_PART
  of the session's (an evaluation loop that counts its batches from 0 each time);
- reordering, if one of the next REORDER_POINTS points of the series is back at the largest step
  (two threads that log at once);
- a rollback, if REORDER_POINTS more points follow and none is, or if it goes back beyond more
  points of the series than a reordering could;
- undecided otherwise: the session's points from there on are held back until more come, for
  HOLD_SECONDS at most, after which it is a rollback.

From a rollback on, all of the session's points that have steps belong to a new attempt, beginning
with the first point of the same log call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.store import rings
from llmtop.store.arena import I8
from llmtop.store.points import changes
from llmtop.store.runs import Session
from llmtop.store.table import SeriesTable

REORDER_POINTS = 4
"""Points of one series that threads may interleave out of order."""
HOLD_SECONDS = 2.0
"""Longest that undecided points are held back: several publisher flushes."""
LEADER_PART = 0.5
"""Part of the session's largest step that a series must have reached to speak for the session."""


class Verdict(NamedTuple):
    """What the points of a session say; indices into the points judged, -1 = nowhere."""

    rollback: int
    """Where a new attempt begins."""
    undecided: int
    """From where points must wait."""


def judge(
    table: SeriesTable, session: Session, series: I8, step: I8, *, final: bool
) -> Verdict:
    """Judge the stepped points of one session in order of arrival; `final`: nothing may wait.

    Args:
        table: what is known of the series so far.
        session: whose points they are.
        series: shape (n,), ids of the current attempt.
        step: shape (n,), all >= 0.
        final: take what is undecided for a rollback.
    """
    reached = np.maximum.accumulate(np.concatenate([[session.high_step], step]))[:-1]
    certain: list[int] = []
    waiting: list[int] = []
    for one in _suspects(table, series, step):
        at = np.flatnonzero(series == one)
        sure, unsure = _backward(table, one, step[at], reached[at])
        certain.extend(at[sure[:1]].tolist())
        waiting.extend(at[unsure[:1]].tolist())
    if certain or (final and waiting):
        # Series of one log call go back together, but not all of them have proof of it.
        return Verdict(_row_start(step, min(certain + waiting)), -1)
    return Verdict(-1, _row_start(step, min(waiting)) if waiting else -1)


def _suspects(table: SeriesTable, series: I8, step: I8) -> list[int]:
    """Return the ids of series in which some step is lower than one before it."""
    order = np.argsort(series, kind="stable")
    series, step = series[order], step[order]
    falls = (series[1:] == series[:-1]) & (step[1:] < step[:-1])
    starts = changes(series)
    low_start = step[starts] < table.reached[series[starts]]
    found: list[int] = np.union1d(series[1:][falls], series[starts[low_start]]).tolist()
    return found


def _backward(
    table: SeriesTable, series: int, step: I8, reached: I8
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where one series certainly, and where it perhaps, went back."""
    tail = rings.latest(table, series, REORDER_POINTS + 1).step
    known = np.concatenate([tail, step])
    high = int(table.reached[series])
    before = np.maximum.accumulate(np.concatenate([[high], step]))[:-1]
    at = np.flatnonzero((step < before) & (before >= LEADER_PART * reached))
    here = at + len(tail)
    back = np.zeros(len(at), dtype=np.bool_)
    for ahead in range(1, REORDER_POINTS + 1):
        place = np.minimum(here + ahead, len(known) - 1)
        back |= (here + ahead < len(known)) & (known[place] >= before[at])
    deep = here > REORDER_POINTS
    for behind in range(1, REORDER_POINTS + 2):
        deep &= known[np.maximum(here - behind, 0)] > step[at]
    followed = here + REORDER_POINTS < len(known)
    sure = ~back & (deep | followed)
    return at[sure], at[~back & ~sure]


def _row_start(step: I8, at: int) -> int:
    """Return the first of the points just before `at` that have its step."""
    differ = np.flatnonzero(step[:at] != step[at])
    return int(differ[-1]) + 1 if len(differ) else 0
