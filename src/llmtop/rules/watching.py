"""One rule at work: when it has to be judged, for what, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop import metrics
from llmtop.rules.detectors.base import Look
from llmtop.rules.detectors.make import make
from llmtop.rules.evaluate import first_nonfinite, judge, measure
from llmtop.rules.expression.catalogue import FUNCTIONS
from llmtop.rules.expression.parse import Expression, walk
from llmtop.rules.expression.tree import Absent, Read, Value
from llmtop.rules.frame import Frame
from llmtop.rules.rule import Rule
from llmtop.rules.targets import Place
from llmtop.store import Run, Store
from llmtop.store.arena import I8


class Verdict(NamedTuple):
    """What is the case for one target at one moment."""

    run: Run
    rank: int | None
    device: str
    holds: bool | None
    clears: bool | None
    time: float
    step: int = -1
    value: float | None = None
    unit: str = ""
    detail: str = ""

    @property
    def place(self) -> Place:
        """What tells its target from the others."""
        return self.run.id, self.rank, self.device


@dataclass(frozen=True, slots=True)
class Round:
    """One look at the store."""

    store: Store
    dirty: NDArray[np.bool_]
    """Shape (series,): which grew."""
    grown: tuple[Run, ...]
    moments: Mapping[int, float]
    followed: frozenset[int]
    tick: bool
    """It is time for what depends on time alone."""
    renewed: bool
    """Runs or series came, or began anew."""


@dataclass
class ExpressionWatch:
    """A rule whose condition is an expression."""

    rule: Rule
    when: Expression
    frame: Frame
    known: bool = False
    """Whether there was anything to judge the last time."""
    _ids: I8 | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._unit = unit_of(self.when.subject)
        self._always = not self.rule.reads or any(
            isinstance(node, Absent) for node in walk(self.when.root)
        )

    def verdicts(self, now: Round, open_places: Collection[Place]) -> list[Verdict]:
        """Return what holds, and what is the case of the places that are still open."""
        frame = self.frame
        if now.renewed or self._ids is None:
            parts = [frame.selection(name).ids for name in self.rule.reads]
            self._ids = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        if not frame.targets or not self._due(now, open_places):
            return []
        truth = judge(self.when.root, frame)
        self.known = bool(truth.known.any())
        chosen = set(np.flatnonzero(truth.value).tolist())
        chosen.update(frame.index[place] for place in open_places if place in frame.index)
        if not chosen:
            return []
        subject = measure(self.when.subject, frame)
        clear = judge(self.rule.clear.root, frame) if self.rule.clear and open_places else None
        found = []
        for at in sorted(chosen):
            target = frame.targets[at]
            found.append(Verdict(
                target.run, target.rank, target.device,
                bool(truth.value[at]) if truth.known[at] else None,
                bool(clear.value[at]) if clear is not None and clear.known[at] else None,
                float(frame.moment[at]), self._step(at, target.run),
                float(subject.value[at]) if subject.known[at] else None, self._unit,
            ))  # fmt: skip
        return found

    def _step(self, at: int, run: Run) -> int:
        """Return the step a verdict is about: the newest, or where the numbers went bad."""
        subject = self.when.subject
        if isinstance(subject, Read) and subject.function == "nonfinite":
            step = first_nonfinite(subject, self.frame, at)
            return step if step >= 0 else run.step
        return run.step

    def _due(self, now: Round, open_places: Collection[Place]) -> bool:
        assert self._ids is not None
        if len(self._ids) and now.dirty[self._ids].any():
            return True
        if not now.tick:
            return now.renewed and self._always
        if not len(self._ids) and not self._always:
            return bool(open_places)
        return self.when.timed or bool(open_places) or now.renewed


class DetectorWatch:
    """A rule whose condition is a detector's."""

    def __init__(self, rule: Rule) -> None:
        assert rule.detector is not None
        self.rule = rule
        self.known = True
        self._detector = make(rule.detector, rule.per != "run")
        self._last: dict[Place, Verdict] = {}

    def verdicts(self, now: Round, open_places: Collection[Place]) -> list[Verdict]:
        """Return what began or ended, and what goes on in the places that are still open."""
        phases = self.rule.phases
        runs = tuple(run for run in now.store.runs if not phases or run.phase in phases)
        grown = tuple(run for run in now.grown if not phases or run.phase in phases)
        findings = self._detector.look(
            Look(now.store, runs, grown, now.moments, now.followed)
        ) if runs else []
        found = [
            Verdict(one.run, one.rank, one.device, one.active, not one.active, one.time, one.step,
                    one.value, one.unit, one.detail)
            for one in findings
        ]
        for verdict in found:
            self._last[verdict.place] = verdict
        if now.tick:
            fresh = {verdict.place for verdict in found}
            for place in set(open_places) - fresh:
                if place in self._last:
                    last = self._last[place]
                    found.append(last._replace(time=now.moments[last.run.id]))
        for place in self._last.keys() - open_places - {verdict.place for verdict in found}:
            del self._last[place]
        return found


Watching = ExpressionWatch | DetectorWatch


def unit_of(value: Value) -> str:
    """Return the unit a value is shown in."""
    if isinstance(value, Read):
        spec = FUNCTIONS.get(value.function)
        metric = metrics.find(value.metric)
        if metric is not None and (spec is None or spec.dimension == "same"):
            return "fraction" if metric.unit == "percent" else metric.unit
    return value.dimension
