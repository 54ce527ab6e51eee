"""One NVIDIA device, or a MIG part of one, asked through NVML."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from llmtop.sources.gpu import GpuProcess, Reading
from llmtop.sources.nvml_asking import NOT_SUPPORTED, Asker, DeviceLostError
from llmtop.sources.nvml_gpm import Gpm
from llmtop.sources.nvml_words import COMPUTE_MODES, VIRTUAL, throttle_words

MAX_PROCESSES = 128
"""Processes kept a device: more than share one even under MPS (48 clients)."""
MEMORY_V2 = 0x02000028
"""Version of the memory structure that tells the driver's own reserve apart from what is used."""
FIELD_MEMORY_TEMPERATURE = 82
FIELD_NVLINK_SENT, FIELD_NVLINK_RECEIVED = 138, 139
ALL_LINKS = 0xFFFFFFFF
KIB = 1024
BUSY_LOOKS = 1
"""Looks for which a process's share of the device holds when the driver has no newer one."""
UNCORRECTED, CORRECTED, AGGREGATE = 1, 0, 1


class _Gauge(NamedTuple):
    metric: str
    function: str
    rest: tuple[int, ...] = ()
    scale: float = 1.0
    slow: bool = False
    older: str = ""
    """What drivers without the function answer."""


GAUGES = (
    _Gauge("gpu_power_watts", "nvmlDeviceGetPowerUsage", (), 1e-3),
    _Gauge("gpu_temperature_celsius", "nvmlDeviceGetTemperatureV", (0,),
           older="nvmlDeviceGetTemperature"),
    _Gauge("gpu_sm_clock_hz", "nvmlDeviceGetClockInfo", (1,), 1e6),
    _Gauge("gpu_memory_clock_hz", "nvmlDeviceGetClockInfo", (2,), 1e6),
    _Gauge("gpu_fan_speed", "nvmlDeviceGetFanSpeed", (), 0.01, slow=True),
)
"""What is one call and one number. The driver measures PCIe throughput over 20 ms: see `pcie`."""
PCIE = (
    _Gauge("gpu_pcie_sent_bytes_per_second", "nvmlDeviceGetPcieThroughput", (0,), KIB),
    _Gauge("gpu_pcie_received_bytes_per_second", "nvmlDeviceGetPcieThroughput", (1,), KIB),
)
"""Asked only where GPM does not say it, and only on slow sweeps: each call takes 20 ms."""


class Device:
    """Asks one device; what has been refused is not asked again."""

    def __init__(
        self, nvml: Any, find: Callable[[], object], asker: Asker,
        parent: tuple[object, int] | None = None,
    ) -> None:  # fmt: skip
        """Ask the device that `find` has the handle of.

        Args:
            nvml: the binding.
            find: returns the handle; again after the device was lost.
            asker: its guard; its name is the device's key.
            parent: of a MIG part, the handle of the whole and the number of the GPU instance.
        """
        self.key, self.asker = asker.name, asker
        self.handle: object = None
        self._nvml, self._find, self._parent = nvml, find, parent
        self._gpm: Gpm | None = None
        self._users: list[GpuProcess] = []
        self._busy: dict[int, float] = {}
        self._busy_at = 0
        self._busy_age = 0
        self._facts: dict[str, object] = {"key": self.key, "name": "", "uuid": "", "state": "ok"}
        self.lost = ""
        """What is the matter with a device that answers nothing, "" if it does."""
        self._connect()

    def read(self, slow: bool) -> Reading:
        """Ask everything; a lost device answers with its last facts and no number."""
        out = Reading(self.key)
        if self.lost and slow:
            self._connect()
        try:
            if self.lost:
                raise DeviceLostError(self.lost)
            self._memory(out)
            self._utilization(out)
            self._gauges(out, slow)
            if self._parent is None:
                self._totals(out, slow)
                self._states(out)
            if slow:
                self._facts.update(self._slow_facts())
            if slow or self._facts.get("unified"):
                self._users = self._processes()
            out.processes = self._users
        except DeviceLostError as error:
            self.lost = str(error)
            out = Reading(self.key)
        self._facts["state"] = self.lost or "ok"
        out.facts = dict(self._facts)
        return out

    def close(self) -> None:
        """Give back what was allocated."""
        if self._gpm is not None:
            self._gpm.close()

    def _connect(self) -> None:
        """Find the device, again if it was lost, and ask who it is."""
        try:
            handle = self._find()
            if handle is None:
                raise DeviceLostError("not to be had")
            self.handle = handle
            name = self.asker.ask("nvmlDeviceGetName", handle)
            uuid = self.asker.ask("nvmlDeviceGetUUID", handle)
            over, instance = self._parent or (handle, None)
            self.close()
            self._gpm = Gpm(self._nvml, self.asker, over, instance)
        except DeviceLostError as error:
            self.lost = str(error)
            return
        self._facts.update(name=_text(name), uuid=_text(uuid))
        self.lost = ""

    def _memory(self, out: Reading) -> None:
        ask = self.asker.ask
        found = ask("nvmlDeviceGetMemoryInfo", self.handle, MEMORY_V2)
        if found is None:
            found = ask("nvmlDeviceGetMemoryInfo", self.handle)
        if found is None or not found.total:
            # A device that shares the host's memory has none of its own to tell of.
            refused = self.asker.refused("nvmlDeviceGetMemoryInfo") == NOT_SUPPORTED
            self._facts["unified"] = refused or found is not None
            return
        out.gauges["gpu_memory_used_bytes"] = float(found.used)
        self._facts["memory_total"] = int(found.total)
        reserved = getattr(found, "reserved", None)
        if reserved is not None:
            self._facts["memory_reserved"] = int(reserved)

    def _utilization(self, out: Reading) -> None:
        rates = self.asker.ask("nvmlDeviceGetUtilizationRates", self.handle)
        if rates is not None:
            out.gauges["gpu_utilization"] = rates.gpu / 100
            out.gauges["gpu_memory_busy"] = rates.memory / 100
        out.gauges.update(self._gpm.read() if self._gpm else {})

    def _gauges(self, out: Reading, slow: bool) -> None:
        wanted = GAUGES if self._parent is None else ()
        pcie = PCIE if slow and self._parent is None and PCIE[0].metric not in out.gauges else ()
        for gauge in (*wanted, *pcie):
            if gauge.slow and not slow:
                continue
            asked = (self.handle, *gauge.rest)
            value = self.asker.number(gauge.function, *asked, scale=gauge.scale)
            if value is None and gauge.older:
                value = self.asker.number(gauge.older, *asked, scale=gauge.scale)
            if value is not None and math.isfinite(value):
                out.gauges[gauge.metric] = value
        if slow and self._parent is None:
            warm = self._fields((FIELD_MEMORY_TEMPERATURE, 0))[0]
            if warm:
                out.gauges["gpu_memory_temperature_celsius"] = warm

    def _totals(self, out: Reading, slow: bool) -> None:
        number = self.asker.number
        energy = number("nvmlDeviceGetTotalEnergyConsumption", self.handle, scale=1e-3)
        if energy is not None:
            out.totals["gpu_energy_joules"] = energy
        if not slow:
            return
        for metric, kind in (
            ("gpu_ecc_corrected_errors", CORRECTED), ("gpu_ecc_uncorrected_errors", UNCORRECTED),
        ):  # fmt: skip
            errors = number("nvmlDeviceGetTotalEccErrors", self.handle, kind, AGGREGATE)
            if errors is not None:
                out.totals[metric] = errors
        if "gpu_nvlink_sent_bytes_per_second" not in out.gauges:
            sent, received = self._fields(
                (FIELD_NVLINK_SENT, ALL_LINKS), (FIELD_NVLINK_RECEIVED, ALL_LINKS)
            )
            if sent is not None and received is not None:
                out.totals["gpu_nvlink_sent_bytes_per_second"] = sent * KIB
                out.totals["gpu_nvlink_received_bytes_per_second"] = received * KIB
        rows = self.asker.ask("nvmlDeviceGetRemappedRows", self.handle)
        if rows is not None:
            corrected, uncorrected, pending, failed = rows
            out.gauges["gpu_remapped_rows"] = float(corrected + uncorrected)
            self._facts["remap"] = "failed" if failed else "pending" if pending else ""

    def _states(self, out: Reading) -> None:
        ask = self.asker.ask
        reasons = ask("nvmlDeviceGetCurrentClocksEventReasons", self.handle)
        if reasons is None:
            reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons", self.handle)
        self._facts["throttle"] = throttle_words(int(reasons or 0))
        level = ask("nvmlDeviceGetPerformanceState", self.handle)
        if level is not None:
            self._facts["pstate"] = f"P{level}"

    def _slow_facts(self) -> dict[str, object]:
        if self._parent is not None:
            return {}
        ask, number, handle = self.asker.ask, self.asker.number, self.handle
        mode, virtual = ask("nvmlDeviceGetComputeMode", handle), ask(
            "nvmlDeviceGetVirtualizationMode", handle)
        found: dict[str, object] = {
            "power_limit": number("nvmlDeviceGetEnforcedPowerLimit", handle, scale=1e-3),
            "pcie_generation": ask("nvmlDeviceGetCurrPcieLinkGeneration", handle),
            "pcie_width": ask("nvmlDeviceGetCurrPcieLinkWidth", handle),
            "compute_mode": COMPUTE_MODES.get(mode),
            "virtual": VIRTUAL.get(virtual),
            "ecc_errors": number("nvmlDeviceGetTotalEccErrors", handle, UNCORRECTED, AGGREGATE),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _fields(self, *wanted: tuple[int, int]) -> list[float | None]:
        """Return the values of some of NVML's numbered fields."""
        answers = self.asker.ask("nvmlDeviceGetFieldValues", self.handle, wanted)
        if answers is None:
            return [None] * len(wanted)
        return [_field(answer) if answer.nvmlReturn == 0 else None for answer in answers]

    def _processes(self) -> list[GpuProcess]:
        """Return who is on the device; the same process may compute and draw."""
        memory: dict[int, int | None] = {}
        for function in (
            "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses",
        ):  # fmt: skip
            for process in (self.asker.ask(function, self.handle) or [])[:MAX_PROCESSES]:
                used = process.usedGpuMemory
                memory[process.pid] = max(memory.get(process.pid) or 0, used) if used else (
                    memory.get(process.pid))
        if memory and self._parent is None:
            self._look_who_is_busy()
        return [GpuProcess(pid, used, self._busy.get(pid)) for pid, used in memory.items()]

    def _look_who_is_busy(self) -> None:
        """Note each process's newest share of the SMs' time; the driver has none each second."""
        function = "nvmlDeviceGetProcessUtilization"
        samples = self.asker.ask(function, self.handle, self._busy_at, kind=function)
        newest: dict[int, tuple[int, float]] = {}
        for sample in samples or ():
            if sample.smUtil <= 100 and sample.timeStamp >= newest.get(sample.pid, (0, 0.0))[0]:
                newest[sample.pid] = sample.timeStamp, sample.smUtil / 100
        self._busy_age += 1
        if newest:
            self._busy = {pid: share for pid, (_, share) in newest.items()}
            self._busy_at = max(at for at, _ in newest.values())
            self._busy_age = 0
        elif self._busy_age > BUSY_LOOKS:
            self._busy = {}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text if c.isprintable())[:96]


def _field(answer: Any) -> float | None:
    """Return the value of a field by its type: double, three sizes of unsigned, signed."""
    names = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal",
             6: "usVal"}
    name = names.get(answer.valueType)
    return float(getattr(answer.value, name)) if name else None
