"""Machines in the snapshot: a line of the host, and one a device."""

from __future__ import annotations

from llmtop.rules.forecast import forecast, words
from llmtop.rules.machine import Device, devices, host_value, number, users_of
from llmtop.store import Run, Store
from llmtop.text.table import INDENT, flow
from llmtop.units import MISSING, format_bytes, format_value


def host_lines(store: Store, run: Run, now: float, width: int) -> list[str]:
    """Return what is to be said of a machine, in lines of at most `width` cells."""
    cores, limit = run.tags.get("core_count"), number(run.tags.get("core_limit"))
    busy = format_value(host_value(run, "host_cpu_utilization", now), "fraction")
    parts = [run.name, f"cpu {busy}"]
    if cores:
        parts.append(f"{limit:g} of {cores} cores" if limit else f"{cores} cores")
    used = host_value(run, "host_memory_used_bytes", now)
    parts.append(f"memory {_of(used, run.tags.get('memory_total'))}")
    found = devices(run)
    if not found and run.tags.get("no_gpus"):
        parts.append(str(run.tags["no_gpus"]))
    users = users_of(store, run)
    return [line for words in (parts, *(_device(d, users.get(d.key, []), now) for d in found))
            for line in flow(words, width)]


def _device(device: Device, users: list[str], now: float) -> list[str]:
    head = f"{INDENT}gpu {device.label}"
    parts = [f"{head}  {device.name}" if device.name else head]
    if device.lost:
        return [*parts, device.lost]
    for metric, unit, word in (
        ("gpu_utilization", "fraction", "util"), ("gpu_sm_activity", "fraction", "sm"),
    ):  # fmt: skip
        value = device.value(metric, now)
        if value is not None or metric == "gpu_utilization":
            parts.append(f"{word} {format_value(value, unit)}")
    used = device.value("gpu_memory_used_bytes", now)
    parts.append(f"memory {_of(used, device.memory_total)}")
    parts.append(format_value(device.value("gpu_power_watts", now), "watts"))
    parts.append(format_value(device.value("gpu_temperature_celsius", now), "celsius"))
    series, total = device.series.get("gpu_memory_used_bytes"), device.memory_total
    trend = forecast(series, total) if series and total else None
    if trend and trend.bytes_per_second > 0:
        parts.append(words(trend))
    return [part for part in (*parts, *users) if part != MISSING]


def _of(used: float | None, total: object) -> str:
    return f"{format_bytes(used)} of {format_bytes(number(total))}"
