"""NVIDIA's DCGM exporter: each GPU's numbers, under the names they have when read on the machine.

A value that the driver does not tell is written as a huge number; those are left out.
"""

from __future__ import annotations

from llmtop.sources.scraping.engines.base import Engine, Rule

BLANK = 9.0e18
"""DCGM_INT64_BLANK and its neighbours are 2^63 less a few."""
MEBIBYTE, MEGAHERTZ, PERCENT, MILLIJOULE = float(1 << 20), 1e6, 0.01, 1e-3

_GAUGES = (
    ("gpu_utilization", "DEV_GPU_UTIL", PERCENT),
    ("gpu_memory_used_bytes", "DEV_FB_USED", MEBIBYTE),
    ("gpu_power_watts", "DEV_POWER_USAGE", 1.0),
    ("gpu_temperature_celsius", "DEV_GPU_TEMP", 1.0),
    ("gpu_memory_temperature_celsius", "DEV_MEMORY_TEMP", 1.0),
    ("gpu_sm_clock_hz", "DEV_SM_CLOCK", MEGAHERTZ),
    ("gpu_memory_clock_hz", "DEV_MEM_CLOCK", MEGAHERTZ),
    ("gpu_sm_activity", "PROF_SM_ACTIVE", 1.0),
    ("gpu_tensor_activity", "PROF_PIPE_TENSOR_ACTIVE", 1.0),
    ("gpu_dram_activity", "PROF_DRAM_ACTIVE", 1.0),
    ("gpu_last_xid", "DEV_XID_ERRORS", 1.0),
    ("gpu_remapped_rows", "DEV_UNCORRECTABLE_REMAPPED_ROWS", 1.0),
)

DCGM = Engine(
    "DCGM exporter", ("DCGM_FI_",),
    (
        *(
            Rule(f"gpu*/{metric}", "gauge", (name,), scale, "max", most=BLANK * scale, by="gpu")
            for metric, name, scale in _GAUGES
        ),
        Rule("gpu*/gpu_energy_joules", "counter", ("DEV_TOTAL_ENERGY_CONSUMPTION",), MILLIJOULE,
             by="gpu"),
    ),
    model_labels=("modelName",),
    phase="host",
)  # fmt: skip
