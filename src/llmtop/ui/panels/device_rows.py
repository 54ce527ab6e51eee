"""The lines of one GPU: what is measured, what state it is in, what its parts did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from llmtop.chart import bar, sparkline
from llmtop.rules.forecast import forecast, words
from llmtop.rules.machine import Device, number
from llmtop.sources.nvml_words import SEVERE_THROTTLE
from llmtop.store import Series
from llmtop.ui.panels.base import Scene
from llmtop.ui.rows import Row, Run, clip, fit, width
from llmtop.units import MISSING

GIB = 1 << 30
TREND_SECONDS = 10.0
SPARK_SECONDS = 300.0
HOT, TOO_HOT = 80.0, 85.0
"""Degrees Celsius: near, and at, where data-centre GPUs slow themselves down."""
NEARLY_FULL = 0.95
MOST_BAR = 30
"""Cells of the longest bar: longer ones say no more."""
MOST_USERS = 40
WIDE_FROM = 100
MOST_LINES = 3
"""Lines a device can fill: the main one, its states, its activity."""


@dataclass(frozen=True)
class Columns:
    """How wide each part of a device's line is; 0 = left out."""

    name: int
    bar: int
    activity: int
    watts: int
    spark: int
    users: int


def columns(found: Sequence[Device], cells: int) -> Columns:
    """Return the widths for lines of `cells`: bars first, then who uses it, then its past."""
    activity = 5 if any("gpu_sm_activity" in device.series for device in found) else 0
    wide = cells >= WIDE_FROM
    watts = 8 if wide else 5
    mixed = len({device.name for device in found}) > 1 or len(found) <= 2
    name = min(22, max((len(d.name) for d in found), default=0)) + 2 if wide and mixed else 0
    fixed = 5 + name + 5 + activity + 11 + 5 + watts + 3
    room = max(0, cells - fixed)
    users = min(MOST_USERS, room // 3) if room >= 24 else 0
    spark = min(32, (room - users) // 4) if wide else 0
    length = min(MOST_BAR, max(0, (room - users - spark) // 2 - 1))
    length = length if length >= 4 else 0
    if users:
        users = min(MOST_USERS, room - spark - 2 * length)
    return Columns(name, length, activity, watts, spark, users)


def percent(value: float | None) -> str:
    """Return "97%", in whole percent, so that a column of them stands still."""
    return MISSING if value is None else f"{value * 100:.0f}%"


def gib(used: float | None, total: float | None) -> str:
    """Return "71.2/80G"."""
    left = MISSING if used is None else f"{used / GIB:.1f}"
    return f"{left}/{total / GIB:.0f}G" if total else f"{left}G"


def heat(value: float | None) -> str:
    """Return the role of a temperature."""
    if value is None:
        return "dim"
    return "critical" if value >= TOO_HOT else "warning" if value >= HOT else "ok"


def meter(value: float | None, cells: int, role: str, ascii_only: bool) -> list[Run]:
    """Return a thin bar; without a value, track alone."""
    filled, track = bar(value if value is not None else 0.0, cells, unicode=not ascii_only)
    return [(filled, role), (track, "track")]


def right(text: str, cells: int, role: str) -> list[Run]:
    """Return a text at the right end of its column."""
    return [(text.rjust(cells), role)]


def device_row(
    device: Device, shape: Columns, users: Sequence[str], scene: Scene
) -> Row:
    """Return a device's main line."""
    now, total = scene.now, device.memory_total
    if device.lost:
        return ((f"{device.label:>3} ▲ {device.name}  {device.lost}", "critical"),)
    util = device.value("gpu_utilization", now)
    used = device.value("gpu_memory_used_bytes", now)
    share = None if used is None or not total else used / total
    full = share is not None and share >= NEARLY_FULL
    row: list[Run] = [(f"{device.label:>3} ", "dim"), _mark(device)]
    if shape.name:
        row += fit([(" " + device.name, "text")], shape.name)
    if shape.bar:
        row += [(" ", "blank"), *meter(util, shape.bar, "series-1", scene.ascii)]
    row += right(percent(util), 5, "bright" if util is not None else "dim")
    if shape.activity:
        row += right(percent(device.value("gpu_sm_activity", now)), shape.activity, "text")
    if shape.bar:
        row += [("  ", "blank"), *meter(share, shape.bar, "warning" if full else "series-4",
                                       scene.ascii)]
    row += right(gib(used, total), 11, "warning" if full else "text")
    row += _heat(device, now)
    row += _watts(device, now, shape.watts)
    if shape.spark:
        row += [("  ", "blank"), (_past(device, shape.spark - 2, scene), "raw-1")]
    if shape.users:
        row += [("  ", "blank"), *clip(_notes(device, users, now), shape.users - 2)]
    return tuple(row)


def _notes(device: Device, users: Sequence[str], now: float) -> list[Run]:
    """Return what is wrong with a device, when it is full, and who uses it."""
    out: list[Run] = [(f"{word}  ", "warning") for word in _throttle(device)
                      if word in SEVERE_THROTTLE][:1]
    trend = _trend(device, now)
    if "about" in trend or "within" in trend:
        out.append((f"{trend.removeprefix('about ')}  ", "warning"))
    return [*out, (", ".join(users), "text")]


def _mark(device: Device) -> Run:
    severe = [w for w in _throttle(device) if w in SEVERE_THROTTLE]
    if severe or device.facts.get("remap") == "failed":
        return ("▲", "critical")
    return ("●", "warning") if device.facts.get("remap") == "pending" else (" ", "blank")


def _throttle(device: Device) -> list[str]:
    found = device.facts.get("throttle")
    return [str(word) for word in found] if isinstance(found, list) else []


def _heat(device: Device, now: float) -> list[Run]:
    value = device.value("gpu_temperature_celsius", now)
    return right(MISSING if value is None else f"{value:.0f}°", 5, heat(value))


def _watts(device: Device, now: float, cells: int) -> list[Run]:
    value, limit = device.value("gpu_power_watts", now), number(device.facts.get("power_limit"))
    text = MISSING if value is None else f"{value:.0f}"
    held = any(word in SEVERE_THROTTLE for word in _throttle(device))
    role = "dim" if value is None else "warning" if held else "text"
    if cells >= 8 and limit:
        return [(text.rjust(cells - len(f"/{limit:.0f}")), role), (f"/{limit:.0f}", "dim")]
    return right(text, cells, role)


def _past(device: Device, cells: int, scene: Scene) -> str:
    series = device.series.get("gpu_utilization") or device.series.get("gpu_sm_activity")
    if series is None or cells <= 0:
        return " " * max(0, cells)
    return _past_at(series, cells, scene.ascii, int(scene.now * cells // SPARK_SECONDS))


@lru_cache(maxsize=256)
def _past_at(series: Series, cells: int, ascii_only: bool, moment: int) -> str:
    """Return the line of whole stretches of time, drawn once each: it moves with them."""
    stop = (moment + 1) * SPARK_SECONDS / cells
    values = series.buckets("time", stop - SPARK_SECONDS, stop, cells).mean
    return sparkline(values, cells, unicode=not ascii_only, low=0.0, high=1.0)


def states_row(device: Device, now: float, cells: int) -> Row:
    """Return a device's second line: clocks, links, what holds it back, errors, when it is full."""
    value, facts = device.value, device.facts
    parts: list[Run] = []

    def say(text: str, role: str = "dim") -> None:
        parts.append((text, role))

    trend = _trend(device, now)
    if trend:
        say(f"memory: {trend}", "warning" if "about" in trend or "within" in trend else "dim")
    for metric, word in (("gpu_sm_clock_hz", "sm"), ("gpu_memory_clock_hz", "mem")):
        clock = value(metric, now)
        if clock is not None:
            say(f"{word} {clock / 1e6:.0f} MHz")
    memory_heat = value("gpu_memory_temperature_celsius", now)
    if memory_heat is not None:
        say(f"mem {memory_heat:.0f}°")
    fan = value("gpu_fan_speed", now)
    if fan:
        say(f"fan {percent(fan)}")
    link = f" {facts['pcie_generation']}.0x{facts['pcie_width']}" if (
        facts.get("pcie_generation") and facts.get("pcie_width")) else ""
    for bus, name in (("pcie", f"pcie{link}"), ("nvlink", "nvlink")):
        sent = value(f"gpu_{bus}_sent_bytes_per_second", now)
        received = value(f"gpu_{bus}_received_bytes_per_second", now)
        if sent is not None and received is not None:
            say(f"{name} ↑{sent / 1e9:.1f} ↓{received / 1e9:.1f} GB/s")
    for name in ("pstate", "virtual"):
        if facts.get(name) and facts[name] != "P0":
            say(str(facts[name]))
    if facts.get("compute_mode") not in (None, "default"):
        say(str(facts["compute_mode"]))
    if facts.get("unified"):
        say("memory shared with the host")
    if facts.get("mig"):
        say(f"{facts['mig']} MIG parts")
    for word in _throttle(device):
        say(word, "warning" if word in SEVERE_THROTTLE else "dim")
    if facts.get("remap"):
        say(f"row remap {facts['remap']}", "critical" if facts["remap"] == "failed" else "warning")
    if facts.get("ecc_errors"):
        say(f"{number(facts['ecc_errors']):,.0f} uncorrected ECC errors", "warning")
    out: list[Run] = [("      ", "blank")]
    used = width(out)
    # Where not all have room, it is what is usual that is left out, and whole.
    for part in sorted(parts, key=lambda part: part[1] == "dim"):
        added: list[Run] = [(" · ", "frame"), part] if len(out) > 1 else [part]
        if len(out) == 1 or used + width(added) <= cells:
            out, used = out + added, used + width(added)
    return tuple(out)


def _trend(device: Device, now: float) -> str:
    series, total = device.series.get("gpu_memory_used_bytes"), device.memory_total
    return _trend_at(series, total, int(now // TREND_SECONDS)) if series and total else ""


@lru_cache(maxsize=64)
def _trend_at(series: Series, total: float, moment: int) -> str:
    """Return the forecast in words, worked out once a `moment`: minutes do not change faster."""
    return words(forecast(series, total))


def activity_row(device: Device, scene: Scene, cells: int) -> Row:
    """Return a device's third line: what its parts did, as far as the hardware tells."""
    out: list[Run] = [("      ", "blank")]
    length = 10 if cells >= WIDE_FROM else 4
    for metric, word in (
        ("gpu_sm_activity", "sm"), ("gpu_sm_occupancy", "occupancy"),
        ("gpu_tensor_activity", "tensor"), ("gpu_dram_activity", "dram"),
    ):  # fmt: skip
        share = device.value(metric, scene.now)
        if share is not None:
            out += [(f"{word} ", "dim"), *meter(share, length, "series-2", scene.ascii),
                    (f" {percent(share)}   ", "text")]
    return tuple(out) if len(out) > 1 else ()


def heading(shape: Columns) -> Row:
    """Return the line of titles over the columns."""
    row: list[Run] = [(" " * 5, "blank")]
    if shape.name:
        row.append((" name".ljust(shape.name), "dim"))
    row.append((" util".ljust(shape.bar + 1 if shape.bar else 0), "dim"))
    row.append((" " * 5 if shape.bar else " util", "dim"))
    if shape.activity:
        row.append(("sm".rjust(shape.activity), "dim"))
    row.append(("  memory".ljust(shape.bar + 2 if shape.bar else 0), "dim"))
    row.append((" " * 11 if shape.bar else "memory".rjust(11), "dim"))
    row += [("°C".rjust(5), "dim"), ("watt".rjust(shape.watts), "dim")]
    if shape.spark:
        row.append(("  last 5 min".ljust(shape.spark), "dim"))
    if shape.users:
        row.append(("  used by", "dim"))
    return tuple(row)
