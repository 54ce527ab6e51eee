"""The machine itself: processor, memory, swap, file systems, traffic and pressure, a line each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import cast

from llmtop.chart import sparkline
from llmtop.rules.machine import host_rate, host_value, number
from llmtop.store import Run as StoreRun
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.device_rows import meter, percent
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip, width
from llmtop.units import MISSING, format_bytes, format_number

BOX_FROM = 7
NEARLY_FULL = 0.95
PRESSED = 0.2
"""Share of the time some task waits, from which a machine is slowed down by it."""
NAME_CELLS = 9
MOST_BAR = 24


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.host
    return None if run is None else (run.id, run.version)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return what there is to say, most important first."""
    run = scene.host
    cells, lines = inner(size, BOX_FROM)
    if run is None:
        return framed("host", (), [(("not read yet", "dim"),)], size, BOX_FROM)
    length = max(4, min(MOST_BAR, cells // 4))
    body = [
        _processor(run, scene, length), _memory(run, scene, length), _cores(run, scene, cells),
        _swap(run, scene, length), *_disks(run, scene, length, cells),
        _traffic(run, scene, "disk", "host_disk_read_bytes", "host_disk_written_bytes"),
        _traffic(run, scene, "network", "host_network_received_bytes", "host_network_sent_bytes"),
        _traffic(run, scene, "ib", "infiniband_received_bytes", "infiniband_sent_bytes"),
        _pressure(run, scene),
    ]  # fmt: skip
    shown = [clip(row, cells) for row in body if row][:lines]
    return framed("host", [(run.name, "dim")], shown, size, BOX_FROM)


def _named(name: str) -> Run:
    return (name.ljust(NAME_CELLS), "dim")


def _gauge(name: str, share: float | None, length: int, scene: Scene, after: list[Run]) -> Row:
    full = share is not None and share >= NEARLY_FULL and name != "cpu"
    role = "warning" if full else "series-1" if name == "cpu" else "series-4"
    return (_named(name), *meter(share, length, role, scene.ascii),
            (percent(share).rjust(5), "warning" if full else "bright"), ("  ", "blank"), *after)


def _processor(run: StoreRun, scene: Scene, length: int) -> Row:
    count, limit = run.tags.get("core_count"), number(run.tags.get("core_limit"))
    load = host_value(run, "host_load", scene.now)
    cores = f"{limit:g} of {count} cores" if limit else f"{count or MISSING} cores"
    said: list[Run] = [(cores, "text"), ("  load ", "dim"), (format_number(load, 3), "text")]
    return _gauge("cpu", host_value(run, "host_cpu_utilization", scene.now), length, scene, said)


def _memory(run: StoreRun, scene: Scene, length: int) -> Row:
    used = host_value(run, "host_memory_used_bytes", scene.now)
    total = number(run.tags.get("memory_total"))
    said = _of(used, total)
    if run.tags.get("memory_limited"):
        said.append((f"  limit of {run.tags['memory_limited']}", "dim"))
    return _gauge("memory", _share(used, total), length, scene, said)


def _swap(run: StoreRun, scene: Scene, length: int) -> Row:
    used, total = host_value(run, "host_swap_used_bytes", scene.now), number(
        run.tags.get("swap_total"))
    return _gauge("swap", _share(used, total), length, scene, _of(used, total)) if total else ()


def _cores(run: StoreRun, scene: Scene, cells: int) -> Row:
    """Return one glyph a core, or where they are too many one for several."""
    import numpy as np

    busy = cast("Sequence[int]", run.tags.get("cores") or ())
    if len(busy) < 2:
        return ()
    room = min(len(busy), max(1, cells - NAME_CELLS))
    line = sparkline(np.array(busy, np.float64), room, unicode=not scene.ascii, low=0.0, high=100.0)
    return (_named("cores"), (line, "raw-1"))


def _disks(run: StoreRun, scene: Scene, length: int, cells: int) -> list[Row]:
    out = []
    for disk in cast("Sequence[Mapping[str, object]]", run.tags.get("disks") or ()):
        used, free = number(disk.get("used")) or 0.0, number(disk.get("free")) or 0.0
        said: list[Run] = [(format_bytes(free), "text"), (" free  ", "dim"),
                           (str(disk.get("path")), "dim")]
        if disk.get("silent"):
            said.append(("  not answering", "warning"))
        out.append(_gauge("files", _share(used, used + free), length, scene, said))
    return out


def _traffic(run: StoreRun, scene: Scene, name: str, into: str, out: str) -> Row:
    """Return a line of two rates; nothing where the machine does not count them."""
    rates = [host_rate(run, metric, scene.now) for metric in (into, out)]
    if all(rate is None for rate in rates):
        return ()
    arrows = ("read ", "written ") if name == "disk" else ("↓", "↑")
    row: list[Run] = [_named(name)]
    for arrow, rate in zip(arrows, rates, strict=True):
        text = MISSING if rate is None else f"{format_bytes(rate)}/s"
        row += [(arrow, "dim"), (text, "text"), (" " * max(2, 14 - width([(text, "")])), "blank")]
    return tuple(row)


def _pressure(run: StoreRun, scene: Scene) -> Row:
    """Return how long tasks had to wait for what, of the last ten seconds."""
    row: list[Run] = [_named("waiting")]
    for name in ("cpu", "memory", "io"):
        share = host_value(run, f"host_{name}_pressure", scene.now)
        if share is not None:
            row += [(f"{name} ", "dim"),
                    (f"{percent(share)}  ", "warning" if share >= PRESSED else "text")]
    return tuple(row) if len(row) > 1 else ()


def _of(used: float | None, total: float | None) -> list[Run]:
    return [(format_bytes(used), "text"), (f" of {format_bytes(total)}", "dim")]


def _share(used: float | None, total: float | None) -> float | None:
    return None if used is None or not total else used / total


CONTENT = Content("host", frame, signature)
