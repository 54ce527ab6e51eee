"""What a detector is asked, what it answers, and how one follows series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from llmtop.rules.targets import device_of, factor_of, newest
from llmtop.store import Points, Run, Series, Store

MAX_FOLLOWED = 1 << 14
"""Series one detector follows: a quarter of what a store holds."""


@dataclass(frozen=True, slots=True)
class Look:
    """The store at one moment, as far as a rule is concerned."""

    store: Store
    runs: tuple[Run, ...]
    """Those of the rule's phases."""
    grown: tuple[Run, ...]
    """Those of them of which some series grew."""
    moments: Mapping[int, float]
    """Run id -> what is now for it, unix seconds."""
    followed: frozenset[int]
    """Ids of runs that were seen alive: what they do not say means something."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that began, or is over, at a moment of the data."""

    run: Run
    active: bool
    time: float
    rank: int | None = None
    device: str = ""
    step: int = -1
    value: float | None = None
    unit: str = ""
    detail: str = ""


class Detector(Protocol):
    """Looks at the store again and again."""

    def look(self, look: Look) -> list[Finding]:
        """Return what changed since the last look, in order of time."""
        ...


class Watch(Protocol):
    """Follows one series."""

    def feed(self, value: float, time: float, step: int) -> bool | None:
        """Take one value; return whether something began (true) or ended (false), else None."""
        ...


@dataclass(slots=True)
class _Followed:
    watch: Watch
    seen: int = 0


class Follower:
    """A detector that follows every series of one metric by a `Watch` of its own."""

    def __init__(self, metric: str, each: bool, watch: Callable[[], Watch]) -> None:
        """Follow `metric`: of every rank and device if `each`, else of the lowest rank."""
        self._metric, self._each, self._watch = metric, each, watch
        self._watches: dict[int, _Followed] = {}
        self._chosen: dict[int, tuple[tuple[int, int], list[Series]]] = {}

    def look(self, look: Look) -> list[Finding]:
        """Feed what is new."""
        found: list[Finding] = []
        for run in look.grown:
            for series in self._series(run):
                found += self._follow(run, series)
        return found

    def _series(self, run: Run) -> list[Series]:
        known = len(run.series), run.attempt
        kept = self._chosen.get(run.id)
        if kept is not None and kept[0] == known and all(one.n for one in kept[1]):
            return kept[1]
        found = newest(run, self._metric)
        chosen = [found[key] for key in sorted(found, key=lambda key: (key[0] or 0, key[1]))]
        chosen = chosen if self._each else chosen[:1]
        if kept is not None:
            for gone in set(kept[1]) - set(chosen):
                self._watches.pop(gone.id, None)
        self._chosen[run.id] = known, chosen
        return chosen

    def _follow(self, run: Run, series: Series) -> Iterable[Finding]:
        kept = self._watches.get(series.id)
        if kept is None:
            if len(self._watches) >= MAX_FOLLOWED:
                return
            kept = self._watches[series.id] = _Followed(self._watch())
        new = series.n - kept.seen
        if new <= 0:
            return
        kept.seen = series.n
        points = scaled(series.window(new), factor_of(series))
        unit = series.metric.unit if series.metric else series.unit
        rank = series.rank if self._each else None
        for time, step, value in zip(*(part.tolist() for part in points), strict=True):
            turned = kept.watch.feed(value, time, step)
            if turned is not None:
                yield Finding(run, turned, time, rank, device_of(series) if self._each else "",
                              step, value, unit)


def scaled(points: Points, factor: float) -> Points:
    """Return points with their values in the unit of expressions."""
    return points if factor == 1 else points._replace(value=points.value * factor)
