"""The samples of one page under one table: which values of it go where.

Made once for a page and used as long as the next pages hold the same samples. A page's values come
as one array, so that a look costs a few operations whatever number of samples there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmtop.sources.scraping.engines import Engine, Pick, Rule
from llmtop.sources.scraping.exposition import Sample

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

TOTAL = "_total"
RAY = "ray_"
_JOIN: dict[str, Callable[[F8], F8]] = {"sum": np.sum, "max": np.max, "mean": np.mean}
MAX_VALUES = 64
"""Series that one rule with a label in its name makes: the GPUs of four large machines."""


@dataclass(frozen=True, slots=True)
class GaugeSlot:
    """Samples that make one gauge."""

    name: str
    at: I8
    """Places of the samples on the page."""
    rule: Rule

    def value(self, values: F8) -> float:
        """Return the gauge, NaN where every sample is a sentinel or missing."""
        found = self._known(values)
        return float(_JOIN[self.rule.how](found)) if len(found) else math.nan

    def mean(self, values: F8) -> float:
        """Return the mean that stands beside a maximum over several engines."""
        found = self._known(values)
        return float(found.mean()) if len(found) else math.nan

    def _known(self, values: F8) -> F8:
        found = values[self.at] * self.rule.scale
        return found[(found >= self.rule.least) & (found <= self.rule.most)]


@dataclass(frozen=True, slots=True)
class CounterSlot:
    """Groups of samples that make one counter, or (with `per`) the mean of what was counted."""

    name: str
    group: int
    rule: Rule
    per: int = -1


@dataclass(frozen=True, slots=True)
class HistogramSlot:
    """Groups of samples that make one histogram: cumulative counts by bound, sum and count."""

    name: str
    bounds: F8
    """Upper bounds in the metric's unit, the last one infinity if the page has that."""
    first: int
    """Group of the lowest bound; the others follow."""
    sum: int
    count: int
    rule: Rule

    @property
    def open(self) -> bool:
        """Whether the last bucket has no upper bound, as a histogram's has not."""
        return len(self.bounds) > 0 and self.bounds[-1] == math.inf


@dataclass(slots=True)
class Plan:
    """Where the values of a page go under one engine's table."""

    engine: Engine
    role: str
    """Value of the engine's `split` label; "" for the only one."""
    gauges: list[GaugeSlot] = field(default_factory=list)
    counters: list[CounterSlot] = field(default_factory=list)
    histograms: list[HistogramSlot] = field(default_factory=list)
    missing: list[Rule] = field(default_factory=list)
    """Rules that found nothing on the page."""
    counted: I8 = field(default_factory=lambda: np.empty(0, np.int64))
    """Places of all samples that only grow."""
    groups: I8 = field(default_factory=lambda: np.empty(0, np.int64))
    """Beside `counted`: the group each belongs to."""
    group_count: int = 0

    @property
    def empty(self) -> bool:
        """Whether the page says nothing that this table knows."""
        return not (self.gauges or self.counters or self.histograms)


class Names:
    """The samples of a page by name, as one engine calls them."""

    def __init__(self, engine: Engine, samples: Sequence[Sample]) -> None:
        self.places: dict[str, list[int]] = {}
        """Name without prefix and `_total` -> places on the page."""
        self.samples = samples
        bare = set(engine.bare) <= {sample.name for sample in samples} if engine.bare else False
        for prefix in (*engine.prefixes, *([""] if bare else [])):
            found: dict[str, list[int]] = {}
            for place, sample in enumerate(samples):
                name = sample.name
                if not name.startswith(prefix):
                    name = name.removeprefix(RAY)
                    if not name.startswith(prefix):
                        continue
                found.setdefault(name[len(prefix):].removesuffix(TOTAL), []).append(place)
            for name, places in found.items():
                self.places.setdefault(name, places)

    def of(self, pick: Pick, suffix: str = "") -> list[int]:
        """Return the places of the samples that a pick means."""
        places = self.places.get(pick.name + suffix, ())
        return [place for place in places if pick.takes(self.samples[place].labels)]


def plans(samples: Sequence[Sample], engines: Iterable[Engine]) -> list[Plan]:
    """Return a plan for each engine, and each role of it, that has something on the page."""
    found = []
    for engine in engines:
        names = Names(engine, samples)
        if not names.places:
            continue
        for role, within in _roles(engine, names).items():
            plan = _plan(engine, role, within)
            if not plan.empty:
                found.append(plan)
    return found


def _roles(engine: Engine, names: Names) -> dict[str, Names]:
    """Return the names by value of the engine's `split` label; samples without it are of all."""
    if not engine.split:
        return {"": names}
    labels = [sample.labels.get(engine.split, "") for sample in names.samples]
    used = [place for places in names.places.values() for place in places]
    values = {labels[place] for place in used} - {""}
    if len(values) < (1 if engine.titled else 2):
        return {"": names}
    roles = {}
    for value in sorted(values):
        part = roles[value] = Names.__new__(Names)
        part.samples = names.samples
        kept = {
            name: [place for place in places if labels[place] in ("", value)]
            for name, places in names.places.items()
        }
        part.places = {name: places for name, places in kept.items() if places}
    return roles


class _Groups:
    """Gives out groups of samples that only grow."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.groups: list[int] = []
        self.count = 0

    def add(self, places: Iterable[int]) -> int:
        for place in places:
            self.places.append(place)
            self.groups.append(self.count)
        self.count += 1
        return self.count - 1


def _plan(engine: Engine, role: str, names: Names) -> Plan:
    plan, groups = Plan(engine, role), _Groups()
    for rule in engine.rules:
        found = _BUILD[rule.kind](plan, groups, rule, names)
        if not found:
            plan.missing.append(rule)
    plan.counted = np.array(groups.places, np.int64)
    plan.groups = np.array(groups.groups, np.int64)
    plan.group_count = groups.count
    return plan


def _places(rule: Rule, names: Names, suffix: str = "") -> list[int]:
    """Return the places of the first of a rule's texts that finds any."""
    for choice in rule.choices:
        places = [place for pick in choice for place in names.of(pick, suffix)]
        if places:
            return places
    return []


def _named(rule: Rule, places: list[int], names: Names) -> dict[str, list[int]]:
    """Return the places by series name: one name, or one a value of the label in it."""
    if not rule.by:
        return {rule.metric: places} if places else {}
    found: dict[str, list[int]] = {}
    for place in places:
        value = names.samples[place].labels.get(rule.by, "")
        name = rule.metric.replace("*", value)
        if value and (len(found) < MAX_VALUES or name in found):
            found.setdefault(name, []).append(place)
    return found


def _gauge(plan: Plan, _: _Groups, rule: Rule, names: Names) -> bool:
    found = _named(rule, _places(rule, names), names)
    plan.gauges += [GaugeSlot(name, np.array(places), rule) for name, places in found.items()]
    return bool(found)


def _counter(plan: Plan, groups: _Groups, rule: Rule, names: Names) -> bool:
    found = _named(rule, _places(rule, names), names)
    for name, places in found.items():
        plan.counters.append(CounterSlot(name, groups.add(places), rule))
    return bool(found)


def _mean(plan: Plan, groups: _Groups, rule: Rule, names: Names) -> bool:
    places = _places(rule, names)
    per = [place for pick in rule.divisor for place in names.of(pick)]
    if places and per:
        plan.counters.append(
            CounterSlot(rule.metric, groups.add(places), rule, groups.add(per))
        )
    return bool(places and per)


def _histogram(plan: Plan, groups: _Groups, rule: Rule, names: Names) -> bool:
    for choice in rule.choices:
        buckets = [place for pick in choice for place in names.of(pick, "_bucket")]
        count = [place for pick in choice for place in names.of(pick, "_count")]
        if not (buckets or count):
            continue
        total = [place for pick in choice for place in names.of(pick, "_sum")]
        by_bound = _common_bounds(buckets, names.samples)
        count = count or by_bound.get(math.inf, [])
        bounds = np.array(sorted(by_bound))
        first = groups.count
        for bound in bounds.tolist():
            groups.add(by_bound[bound])
        plan.histograms.append(
            HistogramSlot(rule.metric, bounds * rule.scale, first, groups.add(total),
                          groups.add(count), rule)
        )
        return True
    return False


def _common_bounds(places: Sequence[int], samples: Sequence[Sample]) -> dict[float, list[int]]:
    """Return the bounds that every one of several histograms has, and their places."""
    by_bound: dict[float, list[int]] = {}
    owners: set[frozenset[tuple[str, str]]] = set()
    for place in places:
        labels = samples[place].labels
        try:
            bound = float(labels.get("le", ""))
        except ValueError:
            continue
        if math.isnan(bound):
            continue
        owners.add(frozenset(pair for pair in labels.items() if pair[0] != "le"))
        by_bound.setdefault(bound, []).append(place)
    return {bound: found for bound, found in by_bound.items() if len(found) == len(owners)}


_BUILD: dict[str, Callable[[Plan, _Groups, Rule, Names], bool]] = {
    "gauge": _gauge, "counter": _counter, "mean": _mean, "histogram": _histogram,
}  # fmt: skip
