"""The GPUs: a line a device, or several where there is room; in the Overview one of all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from llmtop.rules.energy import energy_words
from llmtop.rules.machine import Device, users_of
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.device_rows import (
    GIB,
    MOST_LINES,
    WIDE_FROM,
    activity_row,
    columns,
    device_row,
    heading,
    heat,
    meter,
    percent,
    states_row,
)
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, spread, width
from llmtop.units import MISSING

BOX_FROM = 4
"""Rows from which the panel has a border: a device and its heading."""


def lines_each(count: int, lines: int) -> int:
    """Return how many lines each of `count` devices gets of `lines`, the heading's one aside."""
    return max(1, min(MOST_LINES, (lines - 1) // max(count, 1)))


def totals(found: Sequence[Device], now: float, cells: int) -> list[Run]:
    """Return the numbers of all devices together: what they are, memory, power."""
    whole = [device for device in found if "/" not in device.key]
    models = {device.name for device in whole if device.name}
    out: list[Run] = []
    if cells >= 60 and len(models) == 1:
        out.append((f"{len(whole)} × {models.pop()}   ", "dim"))
    elif cells >= 40:
        out.append((f"{len(whole)} devices   ", "dim"))
    held = [(u, t) for d in whole if (u := d.value("gpu_memory_used_bytes", now)) is not None
            and (t := d.memory_total)]
    if held:
        out += [(f"{sum(u for u, _ in held) / GIB:.0f}", "bright"),
                (f" / {sum(t for _, t in held) / GIB:.0f} GiB   ", "dim")]
    watts = [w for d in whole if (w := d.value("gpu_power_watts", now)) is not None]
    if watts:
        total = sum(watts)
        out.append((f"{total / 1000:.1f} kW" if total >= 1000 else f"{total:.0f} W", "bright"))
    return out


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run, names = scene.host, tuple(run.name for run in scene.store.runs)
    return None if run is None else (run.id, run.version, names, run.state)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return a line a device, more of each where there is room."""
    run, found = scene.host, scene.devices
    cells, lines = inner(size, BOX_FROM)
    if run is None:
        return framed("gpus", (), [(("not read yet", "dim"),)], size, BOX_FROM)
    if not found:
        why = str(run.tags.get("no_gpus") or "no GPU is known of this machine")
        return framed("gpus", (), [((why, "text"),)], size, BOX_FROM)
    shape, users = columns(found, cells), users_of(scene.store, run)
    each = lines_each(len(found), lines) if scene.view.screen == "gpus" else 1
    headed = each > 1 or lines > len(found)
    body: list[Row] = [heading(shape)] if headed else []
    room = lines - len(body)
    shown = found[: room // each]
    for device in shown:
        body.append(device_row(device, shape, users.get(device.key, ()), scene))
        if each > 1:
            body.append(states_row(device, scene.now, cells))
        if each > 2:
            body.append(activity_row(device, scene, cells))
    energy = _energy(scene)
    head = [*energy, *totals(found, scene.now, size.width - width(energy))]
    if len(shown) < len(found):
        head = [(f"{len(found) - len(shown)} more: make the window taller   ", "dim"), *head]
    return framed("gpus", head, body, size, BOX_FROM)


def _energy(scene: Scene) -> list[Run]:
    """Return what the run that is looked at has used, on the screen where there is room for it."""
    run = scene.run
    words = energy_words(run) if run is not None and scene.view.screen == "gpus" else ""
    return [(f"{run.name} ", "accent"), (f"{words}   ", "text")] if run and words else []


def strip_frame(scene: Scene, size: Size) -> list[Row]:
    """Return all devices in one line: their mean, the fullest, the hottest, the power."""
    found, now = scene.devices, scene.now
    busy = [v for d in found if (v := d.value("gpu_utilization", now)) is not None]
    held = [u / t for d in found if (u := d.value("gpu_memory_used_bytes", now)) is not None
            and (t := d.memory_total)]
    warm = [v for d in found if (v := d.value("gpu_temperature_celsius", now)) is not None]
    length = 8 if size.width < WIDE_FROM else 16
    left: list[Run] = [("gpus  ", "title")]
    mean, fullest = _mean(busy), max(held, default=None)
    left += [("util ", "dim"), *meter(mean, length, "series-1", scene.ascii),
             (f" {percent(mean)}  ", "bright")]
    left += [("mem ", "dim"), *meter(fullest, length, "series-4", scene.ascii),
             (f" {percent(fullest)}  ", "bright")]
    hottest = max(warm, default=None)
    left += [(MISSING if hottest is None else f"{hottest:.0f}°", heat(hottest))]
    lost = sum(bool(device.lost) for device in found)
    if lost:
        left += [(f"  ▲ {lost} lost", "critical")]
    return [spread(left, totals(found, now, size.width - width(left)), size.width - 1)]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


CONTENT = Content("gpus", frame, signature)
STRIP = Content("gpu-strip", strip_frame, signature, focusable=False)
