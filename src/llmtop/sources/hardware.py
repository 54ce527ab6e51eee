"""The machine as one run of phase "host": its GPUs, itself, and who uses them, once a second.

Numbers are series ("gpu0/gpu_utilization", "host_cpu_utilization"); names, limits and tables that
change are tags of the run, which is introduced anew with each sweep.
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from llmtop.clock import Clock
from llmtop.metrics import BY_NAME
from llmtop.samples import NO_STEP, Batch, Event, RunInfo, Samples, SeriesInfo
from llmtop.sources.gpu import BACKENDS, Backend, DriverLostError, NoGpusError, Notice, Reading

PHASE = "host"
SWEEP_SECONDS = 1.0
FIRST_SWEEP_SECONDS = 0.4
"""The second sweep comes sooner: rates and shares need two."""
SLOW_SWEEPS = 5
"""What hardly ever changes, and the table of processes, is read in one of so many sweeps."""
REOPEN_SECONDS = 5.0
"""How often a driver that worked before is looked for."""
MAX_SERIES = 4096
"""Series of one host: 64 devices of three dozen each, and room to spare."""


class Hardware:
    """Samples every backend's devices and the host."""

    name = "hardware"

    def __init__(
        self, clock: Clock, *, backends: Mapping[str, Callable[[], Backend]] = BACKENDS,
        root: Path = Path("/"),
    ) -> None:  # fmt: skip
        """Read `backends`' devices, and the kernel's files below `root`."""
        self._clock, self._root = clock, root
        self._vendors = [_Vendor(name, make()) for name, make in backends.items()]
        self._series: dict[str, int] = {}
        self._totals: dict[str, tuple[float, float]] = {}
        self._host_name = socket.gethostname()
        self._key = f"host:{self._host_name}"
        self._started = clock.time()
        self._processes: list[dict[str, object]] = []

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield one batch a sweep until `stop` is set."""
        from llmtop.sources.host import Host
        from llmtop.sources.processes_table import ProcessTable

        yield Batch()
        host, table = Host(self._root), ProcessTable(self._root)
        count = 0
        try:
            while not stop.is_set():
                began = self._clock.monotonic()
                slow = count < 2 or count % SLOW_SWEEPS == 0
                devices = [r for vendor in self._vendors for r in vendor.read(began, slow)]
                if slow:
                    self._processes = table.look(began, devices)
                machine = host.read(began, slow, table.folders)
                for device in devices:
                    _share_memory(device, machine)
                yield self._batch(devices, machine, caught_up=count == 1)
                count += 1
                pause = FIRST_SWEEP_SECONDS if count == 1 else SWEEP_SECONDS
                stop.wait(max(0.0, pause - (self._clock.monotonic() - began)))
        finally:
            for vendor in self._vendors:
                vendor.close()

    def _batch(self, devices: list[Reading], machine: Reading, caught_up: bool) -> Batch:
        now = self._clock.time()
        introduced: list[SeriesInfo] = []
        keys: list[int] = []
        values: list[float] = []
        for reading in (machine, *devices):
            for metric, value in self._points(reading, now):
                name = f"{reading.key}/{metric}" if reading.key else metric
                key = self._series.get(name)
                if key is None:
                    if len(self._series) >= MAX_SERIES:
                        continue
                    key = self._series[name] = len(self._series)
                    known = BY_NAME[metric]
                    introduced.append(
                        SeriesInfo(key, self._key, name, known.kind, known.unit, known.better)
                    )
                keys.append(key)
                values.append(value)
        n = len(keys)
        samples = Samples(
            np.array(keys, np.uint32), np.full(n, now), np.full(n, NO_STEP, np.int64),
            np.array(values, np.float64),
        )  # fmt: skip
        notices = [notice for vendor in self._vendors for notice in vendor.notices()]
        return Batch(
            runs=(self._run(devices, machine),), series=tuple(introduced), samples=samples,
            events=tuple(Event(self._key, now, n.level, n.text) for n in notices),
            alive=(self._key,), caught_up=caught_up,
        )  # fmt: skip

    def _points(self, reading: Reading, now: float) -> Iterator[tuple[str, float]]:
        """Yield the gauges, and what the totals have grown by since the last sweep."""
        yield from reading.gauges.items()
        for metric, total in reading.totals.items():
            name = f"{reading.key}/{metric}"
            before = self._totals.get(name)
            self._totals[name] = (now, total)
            if before is None or now <= before[0]:
                continue
            # A total that fell was begun anew: what it shows has come since.
            grown = total - before[1] if total >= before[1] else total
            counter = BY_NAME[metric].kind == "counter"
            yield metric, grown if counter else grown / (now - before[0])

    def _run(self, devices: list[Reading], machine: Reading) -> RunInfo:
        tags: dict[str, object] = {
            **machine.facts, "devices": [device.facts for device in devices],
            "processes": self._processes,
            "drivers": {v.name: v.facts for v in self._vendors if v.facts},
            "no_gpus": "; ".join(v.problem for v in self._vendors if v.problem),
        }  # fmt: skip
        return RunInfo(
            key=self._key, name=self._host_name, host=self._host_name, phase=PHASE,
            started=self._started, source=self.name, tags=tags,
        )


def _share_memory(device: Reading, machine: Reading) -> None:
    """Give a device without memory of its own the host's, and what its processes hold of it."""
    if not device.facts.get("unified"):
        return
    device.facts["memory_total"] = machine.facts["memory_total"]
    held = [p.memory_bytes for p in device.processes if p.memory_bytes is not None]
    if len(held) == len(device.processes):
        device.gauges["gpu_memory_used_bytes"] = float(sum(held))


class _Vendor:
    """A backend and how it is doing."""

    def __init__(self, name: str, backend: Backend) -> None:
        self.name = name
        self.facts: dict[str, object] = {}
        self.problem = ""
        """Why there is nothing of it, in one line."""
        self._backend = backend
        self._is_open = False
        self._worked = False
        self._next: float | None = -math.inf
        """When to open it, None never again."""

    def read(self, now: float, slow: bool) -> list[Reading]:
        """Return what its devices say; opened when it is time, closed when it is lost."""
        if not self._is_open and not self._open(now):
            return []
        try:
            return self._backend.read(slow)
        except DriverLostError as error:
            self.problem = f"{self.name} driver lost: {error}; it is looked for again"
            self._backend.close()
            self._is_open, self._next = False, now + REOPEN_SECONDS
            return []

    def _open(self, now: float) -> bool:
        if self._next is None or now < self._next:
            return False
        try:
            self.facts = self._backend.open()
        except NoGpusError as error:
            self.problem = str(error)
            # A machine that never had it is not asked again; a reload takes a while.
            self._next = now + REOPEN_SECONDS if self._worked else None
            return False
        self.problem, self._is_open, self._worked = "", True, True
        return True

    def notices(self) -> list[Notice]:
        """Return what happened to its devices since the last call."""
        return self._backend.notices() if self._worked else []

    def close(self) -> None:
        """Let go of the driver."""
        if self._is_open:
            self._backend.close()
            self._is_open = False
