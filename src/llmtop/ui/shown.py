"""A run as charts read it: which series stand for a name now."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmtop.rules.fleet import Pace
    from llmtop.store import Group, Run, Series
    from llmtop.ui.specs import ChartSpec
    from llmtop.ui.view import Axis, Extent


class Shown:
    """What all panels of one picture ask of a run, each asked once."""

    def __init__(self, run: Run) -> None:
        """Look at `run` as it is now."""
        self.run = run
        newest: dict[tuple[str, int | None], Series] = {}
        self._others: list[Series] = []
        for series in run.series:
            if series.n:
                key = series.name, series.rank
                if key in newest:
                    self._others.append(newest[key])
                newest[key] = series
        self.series = list(newest.values())
        """Of each name and rank the series of its newest attempt, in order of first sight."""
        self._known = len(run.series)
        self._empty = [series for series in run.series if not series.n]
        self._extents: dict[Axis, Extent] = {}
        self._groups: dict[tuple[str, ...], Group] = {}
        self.charts: dict[str, list[ChartSpec]] = {}
        """The charts worth drawing, by the text of a filter."""

    def still(self, run: Run | None) -> Shown | None:
        """Return this, asked anew where numbers grow, if the same series stand for `run` now."""
        if run is not self.run or len(run.series) != self._known:
            return None
        if any(series.n for series in self._empty):
            return None
        self._extents = {}
        return self

    @cached_property
    def named(self) -> dict[str, list[Series]]:
        """The same by name."""
        found: dict[str, list[Series]] = {}
        for series in self.series:
            found.setdefault(series.name, []).append(series)
        return found

    @cached_property
    def earlier(self) -> dict[str, list[Series]]:
        """By name, the series that a newer attempt of the same rank has replaced."""
        found: dict[str, list[Series]] = {}
        for series in self._others:
            found.setdefault(series.name, []).append(series)
        return found

    @cached_property
    def pace(self) -> Pace:
        """By what the run's ranks are compared."""
        from llmtop.rules.fleet import pace_of

        return pace_of(self.named)

    def group(self, names: Sequence[str]) -> Group | None:
        """Return the series of some names together, None if there are none."""
        key = tuple(names)
        if key not in self._groups:
            series = [one for name in key for one in self.named.get(name, ())]
            if not series:
                return None
            self._groups[key] = _group(series)
        return self._groups[key]

    @cached_property
    def has_steps(self) -> bool:
        """Whether the run logs steps, so that its charts can stand over them."""
        return (self.run.phase != "serve" and bool(self.series)
                and _group(self.series).extent("step") is not None)

    def extent(self, axis: Axis) -> Extent:
        """Return the (low, high) that all series, of every attempt, span together."""
        if axis not in self._extents:
            low, high = (self._every and self._every.extent(axis)) or (0.0, 1.0)
            self._extents[axis] = low, high if high > low else low + 1.0
        return self._extents[axis]

    @cached_property
    def _every(self) -> Group | None:
        every = (*self.series, *self._others)
        return _group(every) if every else None


def _group(series: Sequence[Series]) -> Group:
    # After the first paint only: it brings numpy along.
    from llmtop.store import Group

    return Group(series)
