"""How well a run uses its devices: MFU, tokens a second a GPU, joules a token.

They follow from the run's tokens a second and from the machine's devices that its processes are
on; where one of these is not known there is no number. MFU = FLOPs a token x tokens a second /
peak FLOP/s of all devices, with the FLOPs given at init, or 6 a parameter (without attention's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from llmtop.metrics import BY_NAME
from llmtop.rules.machine import Device, devices, hosts, keys_of, number
from llmtop.rules.peak import peak_flops
from llmtop.samples import Samples
from llmtop.store import Run, Series, Store

SOURCE = "tokens_per_second"
FLOPS_A_PARAMETER = 6.0
"""Forward and backward, a token (PaLM, appendix B)."""
LOW_PRECISION = ("fp8", "mxfp", "nvfp4", "fp4")
"""Words of a precision whose peak is another than that of BF16."""
PRECISIONS = ("precision", "dtype", "mixed_precision", "torch_dtype")
CLOCK_SECONDS = 2.0
"""How far the clocks of a run and of the monitor may be apart, and a batch be on its way."""
POWER_SECONDS = 10.0
"""Power and tokens are compared over the same ten seconds."""


class _Devices(NamedTuple):
    """What a run has."""

    gpus: int
    peak: float | None
    """FLOP/s of all of them."""
    watts: float | None
    """None where some of its devices are elsewhere, or do not tell."""


@dataclass(slots=True)
class _Followed:
    """Where the derivation of one run stands."""

    series: Series
    seen: int
    since: float = np.inf
    """When the run was first seen on its devices."""
    made: dict[str, Series] = field(default_factory=dict)


class Efficiency:
    """Adds derived series to the store, from the new points of each run's tokens a second."""

    def __init__(self) -> None:
        self._runs: dict[int, _Followed] = {}

    def derive(self, store: Store, changed: frozenset[int], now: float) -> frozenset[int]:
        """Follow the series that changed; return the ids of the derived series that grew."""
        machines = [host for host in hosts(store) if host.state == "live"]
        fresh = [one for number in changed if (one := store.series[number]).metric is not None
                 and one.metric.name == SOURCE and one.run.phase == "train"]
        if not machines or not fresh:
            return frozenset()
        grew = False
        for run in {one.run for one in fresh}:
            grew |= self._follow(store, run, machines, now)
        return store.commit(now) if grew else frozenset()

    def _follow(self, store: Store, run: Run, machines: list[Run], now: float) -> bool:
        series = _leading(run)
        if series is None:
            return False
        state = self._runs.get(run.id)
        if state is None or state.series is not series:
            # What was logged before the devices were seen is not known to have run on them.
            self._runs[run.id] = _Followed(
                series, series.n, made=state.made if state else {})
            return False
        points = series.window(series.n - state.seen)
        state.seen = series.n
        found = _devices(store, run, machines, now)
        if found is None:
            state.since = np.inf
            return False
        # History that comes late is older than what is known of the devices.
        state.since = min(state.since, now)
        points = points.pick(points.time >= state.since - CLOCK_SECONDS)
        if not len(points.value):
            return False
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = {"tokens_per_second_per_gpu": points.value / found.gpus}
            flops = flops_per_token(run.tags)
            if flops and found.peak:
                wanted["mfu"] = points.value * flops / found.peak
            if found.watts is not None:
                wanted["joules_per_token"] = np.where(
                    points.value > 0, found.watts / points.value, np.nan)
        grew = False
        for name, values in wanted.items():
            if any(not one.derived for one in run.find(name)):
                continue
            made = state.made.get(name)
            if made is None or made.attempt != run.attempt:
                made = store.add_series(run, name, unit=BY_NAME[name].unit, rank=series.rank)
                if made is None:
                    continue
                state.made[name] = made
            ids = np.full(len(values), made.id, np.uint32)
            store.append(Samples(ids, points.time, points.step, values))
            grew = True
        return grew


def flops_per_token(tags: Mapping[str, object]) -> float | None:
    """Return a run's FLOPs a token, None where it has not said enough, or computes in FP8."""
    config = tags.get("config")
    said = [tags, config] if isinstance(config, Mapping) else [tags]
    words = " ".join(str(of.get(name, "")) for of in said for name in PRECISIONS).lower()
    if any(word in words for word in LOW_PRECISION):
        return None
    flops, parameters = number(tags.get("flops_per_token")), number(tags.get("n_params"))
    if flops is None and parameters is not None:
        flops = FLOPS_A_PARAMETER * parameters
    return flops if flops is not None and 0 < flops < np.inf else None


def _leading(run: Run) -> Series | None:
    """Return the tokens a second that stand for the run: as logged, else as derived."""
    found = [one for one in run.latest(SOURCE) if one.n]
    return min(found, key=lambda one: (one.derived, one.rank or 0, one.id), default=None)


def _devices(store: Store, run: Run, machines: list[Run], now: float) -> _Devices | None:
    """Return what a run's processes are on; None where no device is known to be theirs."""
    mine: list[Device] = []
    for host in machines:
        keys = set(keys_of(store, host, run))
        mine += [device for device in devices(host) if device.key in keys]
    if not mine:
        return None
    count = max(len(mine), run.world_size or 1)
    peaks = {peak_flops(str(device.facts.get("name", ""))) for device in mine}
    told = number(run.tags.get("peak_flops_per_gpu"))
    each = told if told is not None else peaks.pop() if len(peaks) == 1 else None
    watts = [_watts(device, now) for device in mine]
    known = [value for value in watts if value is not None]
    whole = len(known) == len(watts) and count == len(mine)
    return _Devices(count, each * count if each else None, sum(known) if whole else None)


def _watts(device: Device, now: float) -> float | None:
    """Return the mean power of the last seconds, None where none is told."""
    series = device.series.get("gpu_power_watts")
    if series is None:
        return None
    mean = float(series.buckets("time", now - POWER_SECONDS, now, 1).mean[0])
    return mean if np.isfinite(mean) else None
