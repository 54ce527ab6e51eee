"""One server over time: page after page becomes runs, series, increments and events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from llmtop.metrics import BY_NAME, find
from llmtop.samples import Batch, Bucketed, Event, RunInfo, Samples, SeriesInfo
from llmtop.sources.scraping.counting import Births, Counting, Growth, births, newborn
from llmtop.sources.scraping.engines import ENGINES
from llmtop.sources.scraping.exposition import Page, Reader, Sample
from llmtop.sources.scraping.extra import extra_engine
from llmtop.sources.scraping.facts import (
    configuration,
    lacking,
    models,
    short_model,
    told_models,
    version,
)
from llmtop.sources.scraping.plan import F8, CounterSlot, HistogramSlot, Plan, plans
from llmtop.sources.scraping.settings import Settings

MAX_PIECES = 60
"""Parts that one increment over a long silence is cut into, so that its rate is no spike."""
RESTARTED_SHARE = 0.5
"""Part of a server's counters that fall together when it began anew."""
MOST_OBSERVED = 2.0**53
"""Observations beyond which a page's numbers are no counts any more: float64 skips some."""
MEAN = "_mean"


@dataclass(frozen=True, slots=True)
class Look:
    """When a page was read."""

    time: float
    """Unix seconds."""
    mono: float


@dataclass(slots=True)
class Watched:
    """One engine of a page: a run."""

    key: str
    plan: Plan
    counting: Counting
    keys: dict[str, int] = field(default_factory=dict)
    """Series key by name."""
    begun: set[str] = field(default_factory=set)
    """Counters whose first increment was told."""
    warned: set[str] = field(default_factory=set)


class Target:
    """What is known of one server."""

    def __init__(
        self, address: str, settings: Settings, numbers: Iterator[int],
        name: Callable[[str, str], str],
    ) -> None:  # fmt: skip
        """Take an address; `numbers` gives series keys, `name(model, place)` a run's name."""
        self.address = address
        self.place = urlsplit(address).netloc or address
        self._settings, self._numbers, self._name = settings, numbers, name
        self._reader = Reader()
        self._samples: list[Sample] = []
        self._watched: list[Watched] = []
        self._births = Births()
        self._birth_places: list[int] = []
        self._last: Look | None = None
        self.bad = 0
        """Lines of the last page that could not be read."""
        self.page: Page | None = None

    @property
    def runs(self) -> tuple[str, ...]:
        """Keys of the runs the page makes."""
        return tuple(one.key for one in self._watched)

    def take(self, text: str, started: str, look: Look) -> Batch:
        """Return what a page says that the one before it did not.

        Raises:
            NotMetricsError: it is no page of metrics.
        """
        page = self.page = self._reader.read(text)
        self.bad = page.bad
        infos: list[RunInfo] = []
        if page.samples is not self._samples and page.samples != self._samples:
            infos = self._replan(page, look)
        values = np.array(page.values, dtype=np.float64)
        born = [page.samples[place] for place in self._birth_places]
        anew = self._births.anew(born, [page.values[p] for p in self._birth_places], started)
        out = _Out(look, self._last, self._settings.interval, self._numbers)
        for one in self._watched:
            _Turn(one, out).take(values, anew)
        self._last = look
        return out.batch(tuple(infos), self.runs)

    def _replan(self, page: Page, look: Look) -> list[RunInfo]:
        """Make plans for a page with other samples than the last; return the runs that are new."""
        known: dict[Sample, float] = {}
        if self._last is not None:
            known = newborn(page.samples, page.values, self._last.time)
        before = {one.key: one for one in self._watched}
        for one in self._watched:
            one.counting.remember(self._samples, known)
        found = plans(page.samples, ENGINES)
        for pattern in self._settings.metrics:
            if (engine := extra_engine(page, pattern)) is not None:
                found += plans(page.samples, (engine,))
        self._watched, infos = [], []
        for plan in found:
            key = f"{self.address} {plan.engine.name} {plan.role}".rstrip()
            counting = Counting.begin(plan, page.samples, known)
            old = before.get(key)
            if old is None:
                one = Watched(key, plan, counting)
            else:
                one = Watched(key, plan, counting, old.keys, old.begun, old.warned)
            self._watched.append(one)
            infos.append(self._introduce(one, page, look))
        self._samples = page.samples
        self._birth_places = births(page.samples)
        return infos

    def _introduce(self, one: Watched, page: Page, look: Look) -> RunInfo:
        plan = one.plan
        settings = configuration(plan, page.samples)
        named = models(plan.engine, page.samples)
        tags: dict[str, object] = {"engine": plan.engine.name, "address": self.address}
        if named:
            tags["model"] = told_models(named)
        if told := version(page.samples, settings):
            tags["version"] = told
        if settings:
            tags["config"] = settings
        if missing := lacking(plan, page.samples):
            tags["missing"] = missing
        if self._settings.insecure and self.address.startswith("https"):
            tags["tls"] = "not verified"
        name = self._name(short_model(named) if plan.engine.phase == "serve" else "", self.place)
        if plan.role:
            name = plan.role if plan.engine.titled else f"{name} {plan.role}"
        elif len(self._watched) > 1:
            name += f" {plan.engine.name}"
        return RunInfo(
            one.key, name, host=self.place, phase=plan.engine.phase, source="scrape",
            started=look.time, tags=tags,
        )  # fmt: skip


class _Out:
    """What one look gives, gathered over the engines of a page."""

    def __init__(
        self, look: Look, last: Look | None, interval: float, numbers: Iterator[int]
    ) -> None:
        self.look, self.last, self.numbers = look, last, numbers
        waited = look.mono - last.mono if last is not None else 0.0
        self.pieces = min(max(round(waited / interval), 1), MAX_PIECES)
        self.series: list[SeriesInfo] = []
        self.keys: list[int] = []
        self.times: list[float] = []
        self.values: list[float] = []
        self.bucketed: list[Bucketed] = []
        self.events: list[Event] = []

    def add(self, key: int, time: float, value: float) -> None:
        self.keys.append(key)
        self.times.append(time)
        self.values.append(value)

    def batch(self, runs: tuple[RunInfo, ...], alive: tuple[str, ...]) -> Batch:
        n = len(self.keys)
        samples = Samples(
            np.array(self.keys, np.uint32), np.array(self.times), np.full(n, -1, np.int64),
            np.array(self.values, np.float64),
        ) if n else None  # fmt: skip
        return Batch(
            runs=runs, series=tuple(self.series), samples=samples, events=tuple(self.events),
            alive=alive, bucketed=tuple(self.bucketed),
        )


class _Turn:
    """One engine's part of a look."""

    def __init__(self, one: Watched, out: _Out) -> None:
        self._one, self._out = one, out

    def take(self, values: F8, anew: bool) -> None:
        """Add what the page says under this engine's table."""
        one, out = self._one, self._out
        time = out.look.time
        for slot in one.plan.gauges:
            value = slot.value(values)
            if value == value:
                out.add(self._key(slot.name, "gauge"), time, value)
                if slot.rule.how == "max" and len(slot.at) > 1:
                    out.add(self._key(slot.name + MEAN, "gauge"), time, slot.mean(values))
        growth = one.counting.look(values, anew)
        if out.last is None:
            return
        self._restarts(growth, anew)
        for counter in one.plan.counters:
            self._counter(counter, growth)
        for histogram in one.plan.histograms:
            self._histogram(histogram, growth)

    def _restarts(self, growth: Growth, anew: bool) -> None:
        if growth.counting and growth.fell >= growth.counting * RESTARTED_SHARE:
            text = "RESTARTED: its counters began anew"
        elif anew and growth.counting:
            text = "RESTARTED: it began anew"
        elif growth.fell:
            text = f"{growth.fell} of its counters began anew"
        else:
            return
        self._out.events.append(Event(self._one.key, self._out.look.time, "warning", text))

    def _counter(self, slot: CounterSlot, growth: Growth) -> None:
        if not growth.known[slot.group]:
            return
        out, delta = self._out, float(growth.delta[slot.group]) * slot.rule.scale
        if slot.per >= 0:
            if (n := float(growth.delta[slot.per])) > 0:
                out.add(self._key(slot.name, "gauge"), out.look.time, delta / n)
            return
        assert out.last is not None
        key = self._key(slot.name, "counter")
        if slot.name not in self._one.begun:
            # A counter's rate is over the time since its first point.
            self._one.begun.add(slot.name)
            out.add(key, out.last.time, 0.0)
        span = out.look.time - out.last.time
        for piece in range(out.pieces):
            at = out.look.time - span * (out.pieces - 1 - piece) / out.pieces
            out.add(key, at, delta / out.pieces)

    def _histogram(self, slot: HistogramSlot, growth: Growth) -> None:
        out, size = self._out, len(slot.bounds)
        if not growth.known[slot.count]:
            return
        assert out.last is not None
        count = float(growth.delta[slot.count])
        bounds = slot.bounds
        upto = np.maximum.accumulate(growth.delta[slot.first : slot.first + size])
        if not slot.open:
            # Without the open bucket there are no quantiles, but a number and a mean.
            bounds, upto = np.array([np.inf]), np.array([count])
            self._warn(slot.name, f"{slot.name}: no +Inf bucket on the page, so no percentiles")
        elif upto[-1] != count:
            self._warn(slot.name, f"{slot.name}: its buckets hold {upto[-1]:g} observations, "
                                  f"its count is {count:g}")
        upto = np.minimum(upto, MOST_OBSERVED)
        counts = np.rint(upto).astype(np.int64)
        seen = int(counts[-1])
        counts[1:] -= counts[:-1].copy()
        # The mean is that of the page's own sum and count.
        total = float(growth.delta[slot.sum]) * slot.rule.scale
        if count > 0 and seen != count:
            total *= seen / count
        key = self._key(slot.name, "distribution")
        out.bucketed.append(
            Bucketed(key, out.last.time, out.look.time, bounds, counts, total)
        )

    def _warn(self, about: str, text: str) -> None:
        if about not in self._one.warned:
            self._one.warned.add(about)
            self._out.events.append(
                Event(self._one.key, self._out.look.time, "warning", text)
            )

    def _key(self, name: str, kind: str) -> int:
        key = self._one.keys.get(name)
        if key is None:
            key = self._one.keys[name] = next(self._out.numbers)
            metric = BY_NAME.get(name) or find(name)
            self._out.series.append(SeriesInfo(
                key, self._one.key, name, kind,  # type: ignore[arg-type]  # one of three
                metric.unit if metric else "", bucketed=kind == "distribution",
            ))  # fmt: skip
        return key


def numbers() -> Iterator[int]:
    """Return a source's series keys."""
    return itertools.count()
