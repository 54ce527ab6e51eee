"""A machine's run read as devices: which of its series and tags belong to which GPU.

Numbers that have not come lately are missing, so that a lost device shows no old ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from llmtop.metrics import DEVICE
from llmtop.store import Run, Series, Store

FRESH_SECONDS = 12.0
"""What is read every five seconds at the least is old after two readings were missed."""
UNSAID = ("NVIDIA ", "Tesla ", "AMD Instinct ")
"""Beginnings of a device's name that say nothing on a machine of one vendor."""
MEMORY_WORDS = ("HBM2", "HBM2e", "HBM3", "HBM3e", "PCIe")


@dataclass(frozen=True)
class Device:
    """One device, or a part of one."""

    key: str
    """"gpu0", "gpu0/mig1"."""
    facts: Mapping[str, object]
    series: Mapping[str, Series]
    """By metric."""

    @property
    def label(self) -> str:
        """Its number: "0", of a part "0.1"."""
        return self.key.replace("gpu", "").replace("/mig", ".")

    @property
    def name(self) -> str:
        """Its model, without what is true of all."""
        return short_model(str(self.facts.get("name", "")))

    @property
    def memory_total(self) -> float | None:
        """Bytes, None where it is not known."""
        return number(self.facts.get("memory_total"))

    @property
    def lost(self) -> str:
        """What is the matter with it, "" if it answers."""
        state = str(self.facts.get("state", "ok"))
        return "" if state == "ok" else state

    def value(self, metric: str, now: float) -> float | None:
        """Return the newest value, None where none has come lately."""
        return latest(self.series.get(metric), now)


def hosts(store: Store) -> list[Run]:
    """Return the machines, those with devices first."""
    return sorted((run for run in store.runs if run.is_host), key=lambda run: not _device_keys(run))


def machine_of(store: Store, run: Run | None) -> Run | None:
    """Return the machine that a run is on; the first there is where that is not known."""
    found = hosts(store)
    mine = [host for host in found if run is not None and host.host == run.host]
    return next(iter([*mine, *found]), None)


def devices(run: Run) -> list[Device]:
    """Return a machine's devices, by number."""
    named = cast("Sequence[Mapping[str, object]]", run.tags.get("devices") or ())
    facts = {str(found["key"]): found for found in named}
    series: dict[str, dict[str, Series]] = {key: {} for key in facts}
    for key, metric, one in _of_devices(run, len(run.series)):
        if one.n:
            series.setdefault(key, {})[metric] = one
    ordered = sorted(series, key=_order)
    return [Device(key, facts.get(key, {}), series[key]) for key in ordered
            if not facts or key in facts]


@lru_cache(maxsize=64)
def _of_devices(run: Run, count: int) -> tuple[tuple[str, str, Series], ...]:
    """Return device, metric and series of a machine's first `count` series that have a device."""
    split = [(one.name.rpartition("/"), one) for one in run.series[:count]]
    return tuple((key, metric, one) for (key, _, metric), one in split
                 if key and DEVICE.fullmatch(key.partition("/")[0]))


def latest(series: Series | None, now: float) -> float | None:
    """Return a series' newest value, None where none has come lately."""
    last = None if series is None else series.last
    return None if last is None or now - last.time > FRESH_SECONDS else last.value


def host_value(run: Run, metric: str, now: float) -> float | None:
    """Return the newest value of a machine's own metric, None where none has come lately."""
    found = [one for one in run.find(metric) if one.name == metric]
    return latest(found[-1], now) if found else None


def host_rate(run: Run, metric: str, now: float, seconds: float = 5.0) -> float | None:
    """Return how fast a machine's own counter grows, a second; None where nothing is known."""
    found = [one for one in run.find(metric) if one.name == metric and one.n]
    return found[-1].rate(seconds, now) if found and latest(found[-1], now) is not None else None


def process_rows(run: Run) -> Sequence[Mapping[str, object]]:
    """Return a machine's table of processes."""
    return cast("Sequence[Mapping[str, object]]", run.tags.get("processes") or ())


def run_names(store: Store, host: Run) -> dict[int, str]:
    """Return process -> the run it publishes, of the processes of a machine."""
    found: dict[int, str] = {}
    for run in store.runs:
        if run.is_host:
            continue
        if run.pid and run.host == host.host:
            found[run.pid] = run.name
        for rank in run.ranks.values():
            if rank.pid and rank.host == host.host:
                found[rank.pid] = run.name
    return found


def name_of(row: Mapping[str, object], names: Mapping[int, str]) -> str:
    """Return the run that a row of processes publishes, "" if none of it does."""
    members = cast("Sequence[int]", row.get("members") or (row.get("pid"),))
    return next((names[pid] for pid in members if pid in names), "")


def users_of(store: Store, host: Run) -> dict[str, list[str]]:
    """Return device -> who is on it: names of runs, else of processes, each once."""
    names, found = run_names(store, host), dict[str, list[str]]()
    for row in process_rows(host):
        who = name_of(row, names) or str(row.get("name") or f"pid {row.get('pid')}")
        for key in cast("Mapping[str, object]", row.get("gpus") or {}):
            if who not in found.setdefault(key, []):
                found[key].append(who)
    return found


def keys_of(store: Store, host: Run, run: Run) -> list[str]:
    """Return the devices that a run's processes are on."""
    pids = {pid for pid, name in run_names(store, host).items() if name == run.name}
    return sorted({key for row in process_rows(host) if pids & set(_members(row))
                   for key in cast("Mapping[str, object]", row.get("gpus") or {})}, key=_order)


def number(value: object) -> float | None:
    """Return a tag that is a number, else None."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def short_model(name: str) -> str:
    """Return "H100 80GB" for "NVIDIA H100 80GB HBM3"."""
    for word in UNSAID:
        name = name.removeprefix(word)
    return " ".join(word for word in name.split() if word not in MEMORY_WORDS)


def _members(row: Mapping[str, object]) -> Iterator[int]:
    yield from cast("Sequence[int]", row.get("members") or (row.get("pid"),))


def _device_keys(run: Run) -> bool:
    return bool(run.tags.get("devices")) or any(one.name.startswith("gpu") for one in run.series)


def _order(key: str) -> list[int]:
    return [int("".join(c for c in part if c.isdigit()) or 0) for part in key.split("/")]
