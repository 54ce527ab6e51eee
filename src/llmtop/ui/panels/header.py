"""The top two lines: the selected run, how far it is, and a thin bar of its progress."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

from llmtop.ui.panels.alerts import worst
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.ranks import clock_off, has_ranks
from llmtop.ui.rows import Row, Run, spread, width
from llmtop.units import MISSING, format_duration, format_number

STATES: dict[str, Run] = {
    "live": ("● live", "ok"),
    "stale": ("○ stale", "warning"),
    "finished": ("✓ finished", "ok"),
    "failed": ("▲ failed", "critical"),
    "died": ("▲ died", "critical"),
    "restarted": ("● restarted", "warning"),
}
"""State of a run -> its words and role; never by colour alone."""
RECORD = "record"
WIDE = 100
GAP = "   "


@dataclass(frozen=True)
class Facts:
    """What the header says of a run, drawn from the store once a tick."""

    word: str
    """What is counted: steps, or records of a log that names none."""
    step: str
    total: str
    fraction: float | None
    elapsed: str
    eta: str


def facts(scene: Scene) -> Facts:
    """Return the run's progress as text; what is not known is "--"."""
    from llmtop.rules.progress import elapsed, progress

    run = scene.run
    if run is None:
        return Facts("step", MISSING, "", None, MISSING, MISSING)
    estimate = progress(run, scene.now)
    over = run.state in ("failed", "died", "finished")
    return Facts(
        word=RECORD if run.tags.get("steps") == RECORD else "step",
        step=f"{run.step:,}" if run.step >= 0 and run.phase != "serve" else "",
        total=f"{run.total_steps:,}" if run.total_steps else "",
        fraction=estimate.fraction,
        elapsed=format_duration(elapsed(run, scene.now)),
        eta=format_duration(None if over else estimate.eta_seconds),
    )


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.run
    return (
        None if run is None else (run.id, run.version, run.state),
        tuple(r.state for r in scene.store.runs if not r.is_host), scene.now // 60, scene.alerts,
    )


def counts(scene: Scene) -> list[Run]:
    """Return "2 runs  1 server" for what is known."""
    runs = sum(not run.is_host for run in scene.store.runs)
    serve = sum(run.phase == "serve" for run in scene.store.runs)
    out: list[Run] = []
    for number, word in ((runs - serve, "run"), (serve, "server")):
        if number:
            out += [("  " if out else "", "blank"), (str(number), "text"),
                    (f" {word}{'s' if number > 1 else ''}", "dim")]
    return out


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the two lines."""
    run, view, wide = scene.run, scene.view, size.width >= WIDE
    left: list[Run] = [("llmtop", "brand")]
    right: dict[str, list[Run]] = {}
    fraction = None
    if run is not None:
        known = facts(scene)
        fraction = known.fraction
        left += [("  ", "blank"), (run.name, "title")]
        if wide:
            left += [("  ", "blank"), (run.phase, "dim"), ("  ", "blank"), (run.host, "dim")]
        left += [("  ", "blank"), STATES.get(run.state, (run.state, "text"))]
        if run.attempt > 1:
            left += [("  ", "blank"), (f"attempt {run.attempt}", "warning")]
        if known.step:
            right["step"] = _step(run.step, known, wide)
        if wide and known.elapsed != MISSING:
            right["elapsed"] = [("elapsed ", "dim"), (known.elapsed, "text")]
        if known.eta and known.eta != MISSING:
            right["eta"] = [("eta ", "dim"), (known.eta, "bright")]
    left += [("  ", "blank"), *worst(scene)] if scene.alerts else []
    left += [] if run is None or has_ranks(run) else clock_off(run)
    if view.paused_at is not None:
        left += [("  ", "blank"), ("❚❚ paused", "warning")]
    if view.filter:
        left += [("  ", "blank"), (f"/{view.filter}", "accent")]
    if wide:
        right["counts"] = counts(scene)
        right["clock"] = [(datetime.fromtimestamp(scene.now).strftime("%H:%M"), "dim")]
    room = size.width - 2
    line = spread(left, _fitting(right, room - width(left) - 1), room, gap=1)
    return [((" ", "blank"), *line, (" ", "blank")), bar(fraction, size.width)]


def _fitting(parts: dict[str, list[Run]], room: int) -> list[Run]:
    """Return the parts side by side, without those that matter least where there is no room."""
    parts = {name: part for name, part in parts.items() if part}
    for name in ("counts", "elapsed", "clock", "eta", ""):
        line = [run for part in parts.values() for run in ((GAP, "blank"), *part)][1:]
        if width(line) <= room or not name:
            break
        parts.pop(name, None)
    return line


def _step(step: int, known: Facts, wide: bool) -> list[Run]:
    if wide:
        total = [(" / " + known.total, "dim")] if known.total else []
        return [(known.word, "dim"), (" ", "blank"), (known.step, "bright"), *total]
    short = format_number(float(step))
    if not known.total:
        return [(short, "bright")]
    return [(short, "bright"), ("/" + format_number(float(known.total.replace(",", ""))), "dim")]


def bar(fraction: float | None, cells: int) -> Row:
    """Return the hairline of progress; all track where it is not known."""
    room = max(0, cells - 2)
    done = round(room * 2 * min(max(fraction or 0.0, 0.0), 1.0))
    full, half = divmod(done, 2)
    line = "━" * full + ("╸" if half else "")
    return ((" ", "blank"), (line, "accent"), ("━" * (room - len(line)), "track"), (" ", "blank"))


def skeleton(cells: int) -> list[Row]:
    """Return the two lines as they stand before the first data."""
    return [((" ", "blank"), ("llmtop", "brand")), bar(None, cells)]


CONTENT = Content("header", frame, signature, focusable=False, skeleton=skeleton)
