"""What a rule is judged for: every run, rank, device or engine, and the series it reads of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmtop.quantities import convert
from llmtop.store import Run, Series, Store
from llmtop.store.arena import F8, I8
from llmtop.store.bucketed import BucketedSeries

Per = Literal["run", "rank", "device", "engine"]
MAX_TARGETS = 1 << 14
"""Targets of one rule: a quarter of the series a store holds."""

Place = tuple[int, int | None, str]
"""Run id, rank and device."""

_DEVICE = re.compile(r"((?:gpu|mig)\d+(?:/mig\d+)?)/")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing a rule is judged for."""

    run: Run
    rank: int | None = None
    """Rank or engine; None where the rule is per run, or the run has no ranks."""
    device: str = ""
    """As its series' names begin: "gpu0", "gpu0/mig1"."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The series of one metric, those of one target together, targets in order."""

    ids: I8
    """Shape (series,)."""
    target: I8
    """Shape (series,): index of the target each belongs to."""
    factor: F8
    """Shape (series,): what brings its values into the vocabulary's unit."""
    began: F8
    """Shape (targets,): unix seconds of the first point, NaN where there is none."""
    better_up: bool
    counter: bool
    pooled: bool
    """Some target has several series."""
    bucketed: bool
    """Some series is known by a server's buckets only."""
    series: tuple[Series, ...]


def targets_of(store: Store, per: Per, phases: Sequence[str]) -> list[Target]:
    """Return the targets there are now, at most MAX_TARGETS."""
    found: list[Target] = []
    for run in store.runs:
        if phases and run.phase not in phases:
            continue
        places: set[tuple[int, str]] = set()
        if per == "device":
            places = {(-1 if one.rank is None else one.rank, device_of(one)) for one in run.series}
            places = {place for place in places if place[1]} or places
        elif per != "run":
            places = {(one.rank, "") for one in run.series if one.rank is not None}
        for rank, device in sorted(places) or [(-1, "")]:
            found.append(Target(run, rank if rank >= 0 else None, device))
    return found[:MAX_TARGETS]


def place_of(target: Target) -> Place:
    """Return what tells a target from the others."""
    return target.run.id, target.rank, target.device


def device_of(series: Series) -> str:
    """Return which device a series' name says it is of, "" where it says none."""
    found = _DEVICE.match(series.name)
    return found[1] if found else ""


def device_memory(run: Run, device: str) -> float | None:
    """Return the bytes a device has in all: as logged, or as its machine says."""
    for series in run.latest("gpu_memory_total_bytes"):
        if device_of(series) == device and series.last is not None:
            return series.last.value * factor_of(series)
    named = run.tags.get("devices")
    for facts in named if isinstance(named, (list, tuple)) else ():
        if isinstance(facts, Mapping) and facts.get("key") == device:
            known = facts.get("memory_total")
            return float(known) if isinstance(known, (int, float)) else None
    return None


def select(targets: Sequence[Target], metric: str, per: Per) -> Selection:
    """Return the series that a metric's name means for each target.

    Of several names that mean the metric, the one with most points is meant. A rule per run reads
    the points of all ranks together; any other reads those of the rank, or of the run where it has
    no ranks; one per device, those whose names begin with the device.
    """
    at: list[int] = []
    chosen: list[Series] = []
    named: dict[int, dict[tuple[int | None, str], Series]] = {}
    for place, target in enumerate(targets):
        run = target.run
        if run.id not in named:
            named[run.id] = newest(run, metric)
        found = named[run.id]
        if per == "run":
            mine = list(found.values())
        else:
            keys = ((target.rank, target.device), (None, target.device), (target.rank, ""),
                    (None, ""))
            mine = [found[key] for key in keys if key in found][:1]
        at += [place] * len(mine)
        chosen += mine
    began = np.full(len(targets), np.nan)
    for place, series in zip(at, chosen, strict=True):
        extent = series.extent("time")
        if extent is not None:
            began[place] = np.fmin(began[place], extent[0])
    return Selection(
        np.array([one.id for one in chosen], np.int64), np.array(at, np.int64),
        np.array([factor_of(one) for one in chosen], np.float64), began,
        any(one.better == "up" for one in chosen), any(one.kind == "counter" for one in chosen),
        len(set(at)) < len(at), any(isinstance(one, BucketedSeries) for one in chosen),
        tuple(chosen),
    )  # fmt: skip


def newest(run: Run, metric: str) -> dict[tuple[int | None, str], Series]:
    """Return by rank and device the series that a metric's name means, of the newest attempt.

    A series whose steps ended with an attempt that is over is left out: its points are old news.
    """
    names: dict[str, list[Series]] = {}
    for series in run.latest(metric):
        if series.attempt == run.attempt or series.extent("step") is None:
            device = device_of(series)
            names.setdefault(series.name.removeprefix(device), []).append(series)
    if not names:
        return {}
    most = max(names.values(), key=lambda group: max(one.n for one in group))
    return {(one.rank, device_of(one)): one for one in most}


def factor_of(series: Series) -> float:
    """Return what brings a series' values into the unit expressions compute in."""
    if series.unit == "percent":
        return 0.01
    return convert(series.name, series.unit)[0]
