"""A run as charts read it: which series stand for a name now, worked out once a tick."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmtop.store import Run, Series
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
        self._extents: dict[Axis, Extent] = {}

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
    def has_steps(self) -> bool:
        """Whether the run logs steps, so that its charts can stand over them."""
        return self.run.phase != "serve" and any(s.extent("step") for s in self.series)

    def extent(self, axis: Axis) -> Extent:
        """Return the (low, high) that all series, of every attempt, span together."""
        if axis not in self._extents:
            every = (*self.series, *self._others)
            spans = [span for series in every if (span := series.extent(axis)) is not None]
            low = min((span[0] for span in spans), default=0.0)
            high = max((span[1] for span in spans), default=1.0)
            self._extents[axis] = low, high if high > low else low + 1.0
        return self._extents[axis]
