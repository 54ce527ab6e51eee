"""GPM, NVML's activity counters of Hopper and later: how busy the SMs really were.

"Utilization 100 %" means only that some kernel ran. GPM compares two samples of the device's own
counters, so the first reading has none; samples are allocated once and taken turn about.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

from llmtop.sources.nvml_asking import Asker, quietly

MIB = 1 << 20
PERCENT = 0.01


class _Wanted(NamedTuple):
    number: int
    metric: str
    scale: float


WANTED = (
    _Wanted(2, "gpu_sm_activity", PERCENT),
    _Wanted(3, "gpu_sm_occupancy", PERCENT),
    _Wanted(5, "gpu_tensor_activity", PERCENT),
    _Wanted(10, "gpu_dram_activity", PERCENT),
    _Wanted(20, "gpu_pcie_sent_bytes_per_second", MIB),
    _Wanted(21, "gpu_pcie_received_bytes_per_second", MIB),
    _Wanted(60, "gpu_nvlink_received_bytes_per_second", MIB),
    _Wanted(61, "gpu_nvlink_sent_bytes_per_second", MIB),
)
"""NVML's number of a GPM metric -> the vocabulary's."""


class Gpm:
    """The activity of one device, or of one MIG part of it."""

    def __init__(
        self, nvml: Any, asker: Asker, handle: object, instance: int | None = None
    ) -> None:
        """Prepare to sample `handle`; with `instance`, a GPU instance of that device."""
        self._nvml, self._asker, self._handle, self._instance = nvml, asker, handle, instance
        self._samples: list[Any] = []
        self._request: Any = None
        self._taken = False
        support = asker.ask("nvmlGpmQueryDeviceSupport", handle)
        if getattr(support, "isSupportedDevice", 0):
            self._prepare()

    def _prepare(self) -> None:
        try:
            self._samples = [self._nvml.nvmlGpmSampleAlloc() for _ in range(2)]
            request = self._nvml.c_nvmlGpmMetricsGet_t()
        except Exception:  # no memory, or a binding that knows no GPM: then there is none
            return
        request.version = getattr(self._nvml, "NVML_GPM_METRICS_GET_VERSION", 1)
        request.numMetrics = len(WANTED)
        for place, wanted in enumerate(WANTED):
            request.metrics[place].metricId = wanted.number
        self._request = request

    def read(self) -> dict[str, float]:
        """Return the activity since the last call; nothing the first time, or without GPM."""
        if self._request is None or not self._sample():
            return {}
        before, self._taken = self._taken, True
        older, newer = self._samples
        self._samples.reverse()
        if not before:
            return {}
        self._request.sample1, self._request.sample2 = older, newer
        if self._asker.ask("nvmlGpmMetricsGet", self._request) is None:
            return {}
        found = {}
        for place, wanted in enumerate(WANTED):
            answer = self._request.metrics[place]
            if answer.nvmlReturn == 0 and math.isfinite(answer.value):
                found[wanted.metric] = float(answer.value) * wanted.scale
        return found

    def _sample(self) -> bool:
        sample = self._samples[1]
        instance = () if self._instance is None else (self._instance,)
        function = "nvmlGpmMigSampleGet" if instance else "nvmlGpmSampleGet"
        taken = self._asker.ask(function, self._handle, *instance, sample, kind=function)
        return taken is not None

    def close(self) -> None:
        """Give the samples back."""
        for sample in self._samples:
            quietly(partial(self._nvml.nvmlGpmSampleFree, sample))
        self._samples, self._request = [], None
