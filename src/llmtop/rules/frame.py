"""The targets of rules of one kind, and what they read, fetched once however many rules ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.rules.expression.tree import Window
from llmtop.rules.stretches import Stretches
from llmtop.rules.targets import Per, Place, Selection, Target, place_of, select, targets_of
from llmtop.store import Points, Store
from llmtop.store.arena import F8, I8
from llmtop.store.points import starts_of

FIRST_GUESS = 64
"""Points fetched for a window of time whose density is not known yet."""
EVERYTHING = 1 << 40
GUESS_SLACK = 16
"""Points fetched beyond those that were in the window last time, besides a sixteenth of them."""


class Fetched(NamedTuple):
    """The points of a window, series by series."""

    points: Points
    counts: I8
    """Shape (series,)."""
    short: NDArray[np.bool_]
    """Shape (series,): older points of the window are only in the series' buckets."""


class Frame:
    """All targets of one `per` and set of phases."""

    def __init__(self, store: Store, per: Per, phases: Sequence[str]) -> None:
        self.per, self.phases = per, tuple(phases)
        self.targets: list[Target] = []
        self.moment: F8 = np.empty(0)
        """Shape (targets,): what is now for each."""
        self.index: dict[Place, int] = {}
        """Where each target stands among them."""
        self._store = store
        self._selections: dict[str, Selection] = {}
        self._fetched: dict[tuple[str, Window | None, Window | None], Fetched] = {}
        self._cut: dict[tuple[str, Window | None, Window | None], Stretches] = {}
        self._guess: dict[tuple[str, Window | None, Window | None], I8] = {}

    def renew(self) -> None:
        """Look anew at what runs and series there are."""
        self.targets = targets_of(self._store, self.per, self.phases)
        self.index = {place_of(target): at for at, target in enumerate(self.targets)}
        self._selections.clear()
        self._guess.clear()

    def begin(self, moments: Mapping[int, float]) -> None:
        """Forget what was fetched; from here on it is as of `moments` (run id -> unix seconds)."""
        self.moment = np.array([moments[target.run.id] for target in self.targets])
        self._fetched.clear()
        self._cut.clear()

    def selection(self, metric: str) -> Selection:
        """Return the series that a metric means here."""
        found = self._selections.get(metric)
        if found is None:
            found = self._selections[metric] = select(self.targets, metric, self.per)
        return found

    def fetch(self, metric: str, window: Window | None, skip: Window | None) -> Fetched:
        """Return the points of a window, each series' own."""
        key = metric, window, skip
        found = self._fetched.get(key)
        if found is None:
            chosen = self.selection(metric)
            if window is not None and window.seconds is not None:
                found = self._by_time(chosen, key, window.seconds, skip)
            else:
                found = self._by_points(chosen, window, skip)
            self._fetched[key] = found
        return found

    def stretches(self, metric: str, window: Window | None, skip: Window | None) -> Stretches:
        """Return the points of a window, target by target."""
        key = metric, window, skip
        found = self._cut.get(key)
        if found is None:
            found = self._cut[key] = self._join(metric, window, skip)
        return found

    def short(self, metric: str, window: Window | None, skip: Window | None) -> list[int]:
        """Return the targets of which older points of the window are in buckets only."""
        fetched = self.fetch(metric, window, skip)
        if not fetched.short.any():
            return []
        found: list[int] = np.unique(self.selection(metric).target[fetched.short]).tolist()
        return found

    def _join(self, metric: str, window: Window | None, skip: Window | None) -> Stretches:
        chosen, fetched = self.selection(metric), self.fetch(metric, window, skip)
        time, value = fetched.points.time, fetched.points.value
        counts = np.zeros(len(self.targets), np.int64)
        if not chosen.pooled:
            counts[chosen.target] = fetched.counts
        else:
            np.add.at(counts, chosen.target, fetched.counts)
            target = np.repeat(chosen.target, fetched.counts)
            order = np.lexsort((time, target))
            time, value = time[order], value[order]
        return Stretches(
            time, value, counts, self.moment,
            seconds=window.seconds if window else None, age=self.moment - chosen.began,
            counter=chosen.counter, better_up=chosen.better_up,
            by_points=window.points if window else None,
        )  # fmt: skip

    def _by_points(
        self, chosen: Selection, window: Window | None, skip: Window | None
    ) -> Fetched:
        back = skip.points or 0 if skip else 0
        wanted = EVERYTHING if window is None else (window.points or 0) + back
        points, counts = self._store.windows(chosen.ids, np.full(len(chosen.ids), wanted))
        if back:
            keep = _position(counts) < np.repeat(counts - back, counts)
            points, counts = points.pick(keep), np.maximum(counts - back, 0)
        short = np.zeros(len(counts), np.bool_)
        return Fetched(_scaled(points, chosen, counts), counts, short)

    def _by_time(
        self, chosen: Selection, key: tuple[str, Window | None, Window | None], seconds: float,
        skip: Window | None,
    ) -> Fetched:  # fmt: skip
        stop = self.moment[chosen.target]
        if skip is not None and skip.seconds is not None:
            stop = stop - skip.seconds
        start = stop - seconds
        asked = self._guess.get(key, np.full(len(chosen.ids), FIRST_GUESS))
        while True:
            points, counts = self._store.windows(chosen.ids, asked)
            oldest = np.full(len(counts), -np.inf)
            some = counts > 0
            oldest[some] = points.time[starts_of(counts)[some]]
            more = (counts == asked) & (oldest > start)
            if not more.any():
                break
            asked = np.where(more, asked * 4, asked)
        keep = points.time > np.repeat(start, counts)
        if skip is not None:
            keep &= points.time <= np.repeat(stop, counts)
        inside = np.zeros(len(counts), np.int64)
        inside[some] = np.add.reduceat(keep, starts_of(counts)[some], dtype=np.int64)
        self._guess[key] = inside + inside // 16 + GUESS_SLACK
        short = (oldest > start) & (counts < asked)
        for at in np.flatnonzero(short).tolist():
            short[at] = chosen.series[at].n > counts[at]
        return Fetched(_scaled(points.pick(keep), chosen, inside), inside, short)


def _position(counts: I8) -> I8:
    """Return of each point where it stands in its series."""
    place: I8 = np.arange(int(counts.sum())) - np.repeat(starts_of(counts), counts)
    return place


def _scaled(points: Points, chosen: Selection, counts: I8) -> Points:
    if (chosen.factor == 1).all():
        return points
    return points._replace(value=points.value * np.repeat(chosen.factor, counts))
