"""The energy a run has used so far: what its devices used while it was seen on them.

A device's own counter of energy is believed, where it has none its power is integrated. What is not
known to be the run's is not counted: the time before it was seen on a device, devices of machines
that are not watched, a device that two runs share, holes in the power. How much that is, is told
beside it: `energy_seen`, the share of the run's GPU time so far whose energy was counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np

from llmtop.metrics import BY_NAME
from llmtop.rules.machine import FRESH_SECONDS, hosts, process_rows, run_names
from llmtop.samples import NO_STEP, Samples
from llmtop.store import Run, Series, Store

ENERGY, SEEN = "energy_joules", "energy_seen"
COUNTER, POWER = "gpu_energy_joules", "gpu_power_watts"
KINDS = {COUNTER: "counter", POWER: "gauge"}
"""What is read, and what it must be to be understood."""
JOULES_A_WATT_HOUR = 3600.0
NOBODY = -1
WHOLE = 0.99
"""Share of a run's GPU time from which nothing worth a word is missing."""


class _Gain(NamedTuple):
    """What a device used since it was last looked at."""

    joules: float
    seconds: float
    """How much time of it that covers."""
    time: float


@dataclass(slots=True)
class _Counted:
    """Where the counting of one run stands."""

    gpus: set[tuple[int, str]] = field(default_factory=set)
    """Devices it was ever seen on: machine and key."""
    seconds: float = 0.0
    """Time of devices whose energy was counted."""
    made: dict[str, Series] = field(default_factory=dict)


class Energy:
    """Adds derived series to the store, from the new points of the devices runs are on."""

    def __init__(self) -> None:
        self._runs: dict[int, _Counted] = {}
        self._before: dict[int, tuple[int, float, float]] = {}
        """Series of a device -> its points so far, and the last one's time and value."""
        self._counts: set[tuple[int, str]] = set()
        """Devices that count their energy themselves."""
        self._owners: dict[tuple[int, str], int] = {}
        """Device -> the run that alone was on it when it was last looked at."""

    def derive(self, store: Store, changed: frozenset[int], now: float) -> frozenset[int]:
        """Follow the series that changed; return the ids of the derived series that grew."""
        fresh: dict[str, list[Series]] = {name: [] for name in KINDS}
        for number in changed:
            one = store.series[number]
            if one.metric is not None and one.run.is_host and KINDS.get(
                one.metric.name
            ) == one.kind:  # fmt: skip
                fresh[one.metric.name].append(one)
        gains: dict[tuple[int, str], _Gain] = {}
        for one in fresh[COUNTER]:
            self._counts.add(_device(one))
            self._note(gains, one)
        for one in fresh[POWER]:
            if _device(one) not in self._counts:
                self._note(gains, one)
        if not gains:
            return frozenset()
        grew = False
        users = _users(store, {machine for machine, _ in gains})
        for key, runs in users.items():
            for run_id in runs:
                self._runs.setdefault(run_id, _Counted()).gpus.add(key)
        known: dict[int, list[_Gain]] = {}
        for key, gain in gains.items():
            alone = users.get(key, set())
            owner = next(iter(alone)) if len(alone) == 1 else NOBODY
            # What was used before the run was seen there may be another's.
            if owner != NOBODY and owner == self._owners.get(key):
                known.setdefault(owner, []).append(gain)
            self._owners[key] = owner
        for run in store.runs:
            if run.id in known:
                grew |= _tell(store, run, self._runs[run.id], known[run.id], now)
        return store.commit(now) if grew else frozenset()

    def _note(self, gains: dict[tuple[int, str], _Gain], series: Series) -> None:
        last = series.last
        before = self._before.get(series.id)
        if last is None:
            return
        self._before[series.id] = series.n, last.time, last.value
        if before is None or series.n <= before[0]:
            return
        seen, time, value = before
        points = series.window(series.n - seen)
        if series.kind == "counter":
            joules, seconds = float(np.nansum(points.value)), float(last.time) - time
        else:
            times = np.concatenate([[time], points.time])
            watts = np.concatenate([[value], points.value])
            apart, mean = np.diff(times), (watts[1:] + watts[:-1]) / 2
            # Nobody knows what was used in a hole.
            good = (apart > 0) & (apart <= FRESH_SECONDS) & np.isfinite(mean)
            joules, seconds = float((mean * apart)[good].sum()), float(apart[good].sum())
        if seconds > 0 and np.isfinite(joules):
            gains[_device(series)] = _Gain(joules, seconds, float(last.time))


def energy_words(run: Run) -> str:
    """Return "1.34 kWh", or "1.34 kWh, 52% seen" of its GPU time, "" where none is known."""
    joules = sum(one.sum for one in run.find(ENERGY) if one.derived)
    share = next((one.last.value for one in run.latest(SEEN)
                  if one.derived and one.last is not None), None)
    if share is None:
        return ""
    hours = joules / JOULES_A_WATT_HOUR
    text = f"{hours / 1000:.2f} kWh" if hours >= 1000 else f"{hours:.3g} Wh"
    return text if share >= WHOLE else f"{text}, {share:.0%} seen"


def _device(series: Series) -> tuple[int, str]:
    return series.run.id, series.name.rpartition("/")[0]


def _users(store: Store, machines: set[int]) -> dict[tuple[int, str], set[int]]:
    """Return device -> the runs whose processes are on it, for devices in use."""
    alive = {run.name: run.id for run in store.runs
             if not run.is_host and run.state in ("live", "stale")}
    users: dict[tuple[int, str], set[int]] = {}
    for host in hosts(store):
        if host.id not in machines:
            continue
        names = run_names(store, host)
        for row in process_rows(host):
            members = cast("Sequence[int]", row.get("members") or (row.get("pid"),))
            here = {alive[names[pid]] for pid in members if names.get(pid) in alive}
            for key in cast("Mapping[str, object]", row.get("gpus") or {}):
                users.setdefault((host.id, key), set()).update(here)
    return users


def _tell(
    store: Store, run: Run, counted: _Counted, gains: Sequence[_Gain], now: float
) -> bool:
    """Buffer one more point of each series; False where the run logs it itself, or without room."""
    if any(not one.derived for name in (ENERGY, SEEN) for one in run.find(name)):
        return False
    counted.seconds += sum(gain.seconds for gain in gains)
    gpus = max(len(counted.gpus), run.world_size or 1)
    lasted = now - run.started
    share = min(1.0, counted.seconds / (gpus * lasted)) if run.started and lasted > 0 else 0.0
    joules, time = sum(gain.joules for gain in gains), max(gain.time for gain in gains)
    grew = False
    for name, value in ((ENERGY, joules), (SEEN, share)):
        made = counted.made.get(name)
        if made is None:
            metric = BY_NAME[name]
            made = store.add_series(run, name, kind=metric.kind, unit=metric.unit)
            if made is None:
                continue
            counted.made[name] = made
        store.append(Samples(
            np.array([made.id], np.uint32), np.array([time]), np.array([NO_STEP]),
            np.array([value]),
        ))  # fmt: skip
        grew = True
    return grew
