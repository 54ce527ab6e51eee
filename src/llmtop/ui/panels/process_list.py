"""Who uses the machine: a line a job, its workers counted with it, those on a GPU first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from llmtop.rules.machine import name_of, number, process_rows, run_names
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.device_rows import percent
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip, width
from llmtop.units import MISSING, format_bytes

BOX_FROM = 7
HIDDEN_BYTES = 1 << 30
"""Used memory of devices on which no process is seen, from which that is worth a word."""
STRANGERS = ("a process of another container or user, hidden from this one",
             "of another container or user", "not seen from here")
"""What is said of a process that is not seen from here, the longest that fits."""

Process = Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """One column."""

    title: str
    cells: int
    rank: int
    """Columns of the highest rank are left out first where the line is short."""
    cell: Callable[[Process], str]


def _devices(row: Process) -> str:
    keys = [key.removeprefix("gpu").replace("/mig", ".") for key in _gpus(row)]
    return ",".join(keys) if len(keys) <= 3 else f"{keys[0]}-{keys[-1]}"


def _gpus(row: Process) -> Mapping[str, Mapping[str, object]]:
    return cast("Mapping[str, Mapping[str, object]]", row.get("gpus") or {})


def _gpu_memory(row: Process) -> str:
    parts = [number(found.get("memory")) for found in _gpus(row).values()]
    known = [part for part in parts if part is not None]
    return format_bytes(sum(known)) if known else (MISSING if parts else "")


def _gpu_share(row: Process) -> str:
    parts = [number(found.get("utilization")) for found in _gpus(row).values()]
    known = [part for part in parts if part is not None]
    return percent(max(known)) if known else (MISSING if parts else "")


def _bytes(name: str) -> Callable[[Process], str]:
    return lambda row: format_bytes(number(row.get(name)))


def _rate(name: str) -> Callable[[Process], str]:
    return lambda row: f"{format_bytes(number(row[name]))}/s" if row.get(name) else ""


def _memory(row: Process) -> str:
    """Return the memory of the whole tree; what is shared is counted once where that is known."""
    pss = number(row.get("pss"))
    return format_bytes(pss if pss is not None else number(row.get("tree_rss")))


COLUMNS = (
    Column("PID", 8, 1, lambda row: str(row.get("pid"))),
    Column("USER", 9, 5, lambda row: str(row.get("user") or "")),
    Column("GPU", 5, 0, _devices),
    Column("GPU MEM", 9, 0, _gpu_memory),
    Column("SM", 5, 4, _gpu_share),
    Column("CPU", 6, 2, lambda row: percent(number(row.get("cpu")))),
    Column("MEM", 9, 3, _memory),
    Column("SHARED", 9, 9, _bytes("shared")),
    Column("PROCS", 5, 6, lambda row: str(row.get("count") or "")),
    Column("FILES", 5, 10, lambda row: str(row.get("files") or "")),
    Column("READ", 11, 8, _rate("read")),
    Column("WRITE", 11, 7, _rate("written")),
)
"""MEM is the proportional memory (PSS) of a job with workers, where the kernel tells it."""
LEAST_COMMAND = 24


def fitting(cells: int, gpus: bool) -> list[Column]:
    """Return the columns that leave room for a command."""
    shown = [column for column in COLUMNS if gpus or column.title not in ("GPU", "GPU MEM", "SM")]
    while shown and sum(column.cells + 2 for column in shown) + LEAST_COMMAND > cells:
        shown.remove(max(shown, key=lambda column: column.rank))
    return shown


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on: the table, which is read every few seconds, and names."""
    run = scene.host
    if run is None:
        return None
    rows, names = process_rows(run), run_names(scene.store, run)
    return run.id, tuple(rows), tuple(names.items()), _hidden(scene, rows)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the list."""
    run = scene.host
    cells, lines = inner(size, BOX_FROM)
    if run is None:
        return framed("processes", (), [(("not read yet", "dim"),)], size, BOX_FROM)
    rows, names = process_rows(run), run_names(scene.store, run)
    shown = fitting(cells, any(_gpus(row) for row in rows))
    body: list[Row] = []
    if lines > 2:
        titles = "".join(column.title.rjust(column.cells) + "  " for column in shown)
        body.append(((titles + "RUN / COMMAND", "dim"),))
    hidden = _hidden(scene, rows) if lines > len(rows) + 1 else ""
    room = max(0, lines - len(body) - bool(hidden))
    for row in rows[:room]:
        body.append(_line(row, shown, name_of(row, names), cells))
    if hidden:
        body.append(((hidden, "dim"),))
    if not rows:
        body = [((hidden or "nothing busy on this machine", "dim"),)]
    right: list[Run] = [(str(len(rows)), "bright")]
    if len(rows) > room:
        right.append((f" ({len(rows) - room} more: make the window taller)", "dim"))
    return framed("processes", right if rows else (), body, size, BOX_FROM)


def _line(row: Process, shown: Sequence[Column], run: str, cells: int) -> Row:
    out: list[Run] = []
    here = bool(row.get("here", True))
    for column in shown:
        text = column.cell(row) if here or column.title in ("PID", "GPU", "GPU MEM", "SM") else ""
        (cut, _), *_ = clip([(text, "text")], column.cells) or [("", "text")]
        role = "bright" if column.title == "GPU MEM" else "text"
        out += [(" " * (column.cells - width([(cut, role)])) + cut, role), ("  ", "blank")]
    if not here:
        room = cells - width(out)
        words = next((text for text in STRANGERS if len(text) <= room), STRANGERS[-1])
        return clip([*out, (words, "dim")], cells)
    if run:
        out += [(run, "accent"), ("  ", "blank")]
    return clip([*out, (str(row.get("command") or ""), "dim" if run else "text")], cells)


def _hidden(scene: Scene, rows: Sequence[Process]) -> str:
    """Say that devices are in use by nobody who can be seen, "" where that is not so."""
    seen = {key for row in rows for key in _gpus(row)}
    secret = [
        device.label for device in scene.devices
        if device.key not in seen and not device.facts.get("mig") and not device.lost
        and (device.value("gpu_memory_used_bytes", scene.now) or 0) > HIDDEN_BYTES
    ]  # fmt: skip
    if not secret:
        return ""
    return (f"gpu {', '.join(secret)}: memory is in use, but the driver shows no process here "
            "(a container sees only its own)")


CONTENT = Content("processes", frame, signature)
