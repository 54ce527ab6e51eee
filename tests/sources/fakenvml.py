"""A scripted NVML: pynvml's function names, structures and error classes, without a driver.

Devices are plain objects that a test changes between two sweeps; `fails` makes any function raise
a real NVML error. What is not scripted raises "not supported", as old devices do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

GIB = 1 << 30
INTEGERS = {
    "nvmlDeviceGetPowerUsage": "power", "nvmlDeviceGetFanSpeed": "fan",
    "nvmlDeviceGetPerformanceState": "pstate", "nvmlDeviceGetComputeMode": "compute_mode",
    "nvmlDeviceGetTotalEnergyConsumption": "energy",
    "nvmlDeviceGetEnforcedPowerLimit": "power_limit",
    "nvmlDeviceGetCurrPcieLinkGeneration": "pcie_generation",
    "nvmlDeviceGetCurrPcieLinkWidth": "pcie_width",
    "nvmlDeviceGetVirtualizationMode": "virtual",
    "nvmlDeviceGetCurrentClocksEventReasons": "throttle",
    "nvmlDeviceGetName": "name", "nvmlDeviceGetUUID": "uuid", "nvmlDeviceGetIndex": "index",
    "nvmlDeviceGetRemappedRows": "rows", "nvmlDeviceGetMaxMigDeviceCount": "most_parts",
    "nvmlDeviceGetGpuInstanceId": "instance",
}
"""Functions that answer with one attribute of a device."""


@dataclass(eq=False)
class Gpu:
    """One device; every number in NVML's own unit."""

    index: int = 0
    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = ""
    total: int = 80 * GIB
    used: int = 71 * GIB
    reserved: int = GIB // 2
    gpu: int = 97
    memory: int = 61
    power: int = 612_000
    power_limit: int = 700_000
    energy: int = 1_000_000
    temperature: int = 64
    memory_temperature: int = 72
    sm_clock: int = 1755
    memory_clock: int = 2619
    fan: int = 0
    pstate: int = 0
    throttle: int = 0
    compute_mode: int = 0
    virtual: int = 0
    pcie_generation: int = 5
    pcie_width: int = 16
    pcie: tuple[int, int] = (1_000_000, 2_000_000)
    nvlink: tuple[int, int] = (0, 0)
    ecc: tuple[int, int] = (0, 0)
    rows: tuple[int, int, int, int] = (0, 0, 0, 0)
    gpm: dict[int, float] | None = None
    """NVML's number of a metric -> value; None is a device without GPM."""
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    busy: list[tuple[int, int, int]] = field(default_factory=list)
    """(pid, time stamp, share of the SMs in percent)."""
    most_parts: int = 7
    parts: dict[int, Gpu] = field(default_factory=dict)
    instance: int = 0
    fails: dict[str, int] = field(default_factory=dict)
    """Function name, or "*" for all -> code of the error it raises."""


@dataclass
class ScriptedNvml:
    """Stands in for the module pynvml."""

    gpus: list[Gpu]
    init_error: int = 0
    gone: int = 0
    """Code that every call raises: the driver was taken away."""
    driver: str = "550.54.15"
    xids: list[tuple[int, int]] = field(default_factory=list)
    """(device, number) of events that wait."""
    event_errors: list[int] = field(default_factory=list)
    """Codes that the next waits for an event raise."""
    calls: dict[str, int] = field(default_factory=dict)
    """How often each function was called."""
    inits: int = 0
    shutdowns: int = 0
    lacks: frozenset[str] = frozenset()
    """Functions the binding does not have."""

    NVMLError = pynvml.NVMLError
    c_nvmlGpmMetricsGet_t = pynvml.c_nvmlGpmMetricsGet_t  # noqa: N815
    NVML_GPM_METRICS_GET_VERSION = pynvml.NVML_GPM_METRICS_GET_VERSION

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("nvml") or not hasattr(pynvml, name) or name in self.lacks:
            raise AttributeError(f"module 'pynvml' has no attribute {name!r}")
        return lambda *args: self._call(name, args)

    def _call(self, name: str, args: tuple[Any, ...]) -> Any:
        self.calls[name] = self.calls.get(name, 0) + 1
        special = getattr(self, f"_{name}", None) if f"_{name}" in type(self).__dict__ else None
        if name == "nvmlInit":
            if self.init_error:
                raise pynvml.NVMLError(self.init_error)
            self.inits += 1
            return None
        if self.gone:
            raise pynvml.NVMLError(self.gone)
        gpu = args[0] if args and isinstance(args[0], Gpu) else None
        if gpu is not None:
            code = gpu.fails.get(name, gpu.fails.get("*", 0))
            if code:
                raise pynvml.NVMLError(code)
            if name in INTEGERS:
                return getattr(gpu, INTEGERS[name])
        if special is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return special(*args)

    def _nvmlShutdown(self) -> None:  # noqa: N802
        self.shutdowns += 1

    def _nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return self.driver

    def _nvmlSystemGetCudaDriverVersion(self) -> int:  # noqa: N802
        return 12_040

    def _nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def _nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:  # noqa: N802
        gpu = self.gpus[index]
        code = gpu.fails.get("nvmlDeviceGetHandleByIndex", gpu.fails.get("*", 0))
        if code:
            raise pynvml.NVMLError(code)
        return gpu

    def _nvmlDeviceGetMemoryInfo(self, gpu: Gpu, version: int = 0) -> Any:  # noqa: N802
        if version:
            assert version == pynvml.nvmlMemory_v2
            return pynvml.c_nvmlMemory_v2_t(
                version, gpu.total, gpu.reserved, gpu.total - gpu.used - gpu.reserved, gpu.used
            )
        return pynvml.c_nvmlMemory_t(gpu.total, gpu.total - gpu.used, gpu.used)

    def _nvmlDeviceGetUtilizationRates(self, gpu: Gpu) -> Any:  # noqa: N802
        return pynvml.c_nvmlUtilization_t(gpu.gpu, gpu.memory)

    def _nvmlDeviceGetTemperatureV(self, gpu: Gpu, sensor: int) -> int:  # noqa: N802
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return gpu.temperature

    def _nvmlDeviceGetTemperature(self, gpu: Gpu, sensor: int) -> int:  # noqa: N802
        return self._nvmlDeviceGetTemperatureV(gpu, sensor)

    def _nvmlDeviceGetClockInfo(self, gpu: Gpu, kind: int) -> int:  # noqa: N802
        return {pynvml.NVML_CLOCK_SM: gpu.sm_clock, pynvml.NVML_CLOCK_MEM: gpu.memory_clock}[kind]

    def _nvmlDeviceGetPcieThroughput(self, gpu: Gpu, kind: int) -> int:  # noqa: N802
        return gpu.pcie[kind]

    def _nvmlDeviceGetTotalEccErrors(self, gpu: Gpu, kind: int, counter: int) -> int:  # noqa: N802
        assert counter == pynvml.NVML_AGGREGATE_ECC
        return gpu.ecc[kind]

    def _nvmlDeviceGetFieldValues(self, gpu: Gpu, wanted: Any) -> Any:  # noqa: N802
        known = {
            pynvml.NVML_FI_DEV_MEMORY_TEMP: gpu.memory_temperature,
            pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX: gpu.nvlink[0],
            pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX: gpu.nvlink[1],
        }
        out = (pynvml.c_nvmlFieldValue_t * len(wanted))()
        for answer, (number, scope) in zip(out, wanted, strict=True):
            answer.fieldId, answer.scopeId = number, scope
            answer.nvmlReturn = 0 if number in known else pynvml.NVML_ERROR_NOT_SUPPORTED
            answer.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
            answer.value.ullVal = known.get(number, 0)
        return out

    def _nvmlDeviceGetComputeRunningProcesses(self, gpu: Gpu) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=p, usedGpuMemory=m) for p, m in gpu.processes]

    def _nvmlDeviceGetGraphicsRunningProcesses(self, gpu: Gpu) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=p, usedGpuMemory=m) for p, m in gpu.graphics]

    def _nvmlDeviceGetProcessUtilization(self, gpu: Gpu, since: int) -> list[Any]:  # noqa: N802
        found = [pynvml.c_nvmlProcessUtilizationSample_t(pid, at, share)
                 for pid, at, share in gpu.busy if at > since]
        if not found:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return found

    def _nvmlDeviceGetMigMode(self, gpu: Gpu) -> tuple[int, int]:  # noqa: N802
        return int(bool(gpu.parts)), int(bool(gpu.parts))

    def _nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: Gpu, index: int) -> Gpu:  # noqa: N802
        if index not in gpu.parts:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return gpu.parts[index]

    def _nvmlGpmQueryDeviceSupport(self, gpu: Gpu) -> Any:  # noqa: N802
        return pynvml.c_nvmlGpmSupport_t(1, int(gpu.gpm is not None))

    def _nvmlGpmSampleAlloc(self) -> Any:  # noqa: N802
        return pynvml.c_nvmlGpmSample_t()

    def _nvmlGpmSampleFree(self, sample: Any) -> None:  # noqa: N802
        return None

    def _nvmlGpmSampleGet(self, gpu: Gpu, sample: Any) -> Any:  # noqa: N802
        self._sampled = gpu
        return sample

    def _nvmlGpmMigSampleGet(self, gpu: Gpu, instance: int, sample: Any) -> Any:  # noqa: N802
        self._sampled = next(p for p in gpu.parts.values() if p.instance == instance)
        return sample

    def _nvmlGpmMetricsGet(self, request: Any) -> Any:  # noqa: N802
        assert request.version == pynvml.NVML_GPM_METRICS_GET_VERSION
        known = self._sampled.gpm or {}
        for at in range(request.numMetrics):
            metric = request.metrics[at]
            metric.nvmlReturn = 0 if metric.metricId in known else 3
            metric.value = known.get(metric.metricId, 0.0)
        return request

    def _nvmlEventSetCreate(self) -> object:  # noqa: N802
        return SimpleNamespace()

    def _nvmlEventSetFree(self, events: object) -> None:  # noqa: N802
        return None

    def _nvmlDeviceRegisterEvents(self, gpu: Gpu, kinds: int, events: object) -> None:  # noqa: N802
        assert kinds == pynvml.nvmlEventTypeXidCriticalError

    def _nvmlEventSetWait(self, events: object, milliseconds: int) -> Any:  # noqa: N802
        assert milliseconds == 0
        if self.event_errors:
            raise pynvml.NVMLError(self.event_errors.pop(0))
        if not self.xids:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        device, number = self.xids.pop(0)
        return SimpleNamespace(
            device=self.gpus[device], eventType=pynvml.nvmlEventTypeXidCriticalError,
            eventData=number,
        )  # fmt: skip
