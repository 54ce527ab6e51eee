"""The list of what is alive: one line a run, the selected one marked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from llmtop.chart.spark import sparkline
from llmtop.ui.curves import LEAST_OBSERVED, RECENT_SECONDS
from llmtop.ui.panels.alerts import GLYPHS
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.panels.header import STATES
from llmtop.ui.rows import Row, Run, clip, width
from llmtop.ui.select import headline, matching, selected
from llmtop.ui.view import View, choose
from llmtop.units import MISSING, format_duration, format_number, format_seconds

if TYPE_CHECKING:
    from llmtop.store import Run as StoreRun
    from llmtop.store import Series

MINUTE = 60.0
TREND_CELLS = 12
TREND_SECONDS = 600.0
ENDED = ("finished", "failed", "died")


def age_text(run: StoreRun, now: float) -> str:
    """Return how long a run has been silent, coarse enough to stand still; an ended run's hour."""
    if run.state in ENDED:
        return datetime.fromtimestamp(run.last_seen).strftime("%H:%M")
    age = now - run.last_seen
    if age < 3:
        return "now"
    if age < MINUTE:
        return format_duration(round(age) if age < 10 else age // 10 * 10)
    return format_duration(age).split()[0]


def _number(series: Series | None, digits: int = 4) -> str:
    last = None if series is None else series.last
    if series is None or last is None:
        return MISSING
    return format_number(last.value * series.factor, digits)


def _trend_arrow(series: Series | None) -> list[Run]:
    """Return " ▼0.4%": how the newer half of the last points compares with the older half."""
    if series is None or series.n < 20 or not series.better:
        return []
    values = series.window(256).value
    values = values[np.isfinite(values)]
    if len(values) < 20:
        return []
    half = len(values) // 2
    before, after = float(np.mean(values[:half])), float(np.mean(values[half:]))
    if not before:
        return []
    change = (after - before) / abs(before)
    if abs(change) < 5e-4:
        return []
    good = (change < 0) == (series.better == "down")
    return [(f" {'▼' if change < 0 else '▲'}{abs(change) * 100:.1f}%", "ok" if good else "warning")]


def _quantile(run: StoreRun, q: float) -> str:
    for name in ("ttft_seconds", "e2e_seconds"):
        series = headline(run, name)
        if series is not None and series.kind == "distribution":
            last = series.last
            found = series.quantiles([q], None if last is None else last.time - RECENT_SECONDS)
            scraped = found.method == "histogram"
            if found.n < (LEAST_OBSERVED.get(q, 1) if scraped else 1):
                return MISSING
            if (bucket := found.bucket(0)) is not None:
                return "<" + format_seconds(bucket[1])
            # A server's own buckets make estimates, and have a last one.
            beyond = found.high is not None and np.isinf(found.high[0])
            mark = "≥" if beyond else "≈" if scraped else "" if found.exact else "~"
            return mark + format_seconds(float(found.values[0]))
    return MISSING


def _ranks(run: StoreRun) -> str:
    if not run.world_size or run.world_size <= 1:
        return str(max(1, len(run.ranks)))
    live = sum(rank.state == "live" for rank in run.ranks.values())
    return f"{live}/{run.world_size}"


def _trend(run: StoreRun, now: float, unicode: bool) -> list[Run]:
    if run.state == "stale":
        return [("STALE", "warning")]
    name = "ttft_seconds" if run.phase == "serve" else "loss"
    series = headline(run, name)
    if series is None or series.last is None:
        return []
    return [(_trend_at(series, int(series.last.time), unicode), "raw-1")]


@lru_cache(maxsize=1024)
def _trend_at(series: Series, moment: int, unicode: bool) -> str:
    """Return the line of the last minutes, drawn once a second however often it is looked at."""
    stop = max(float(moment), series.last.time if series.last else 0.0)
    span = series.extent("time") or (stop, stop)
    start = max(stop - TREND_SECONDS, span[0])
    columns = series.buckets("time", start, max(stop, start + 1.0), TREND_CELLS * 2)
    return sparkline(columns.mean, TREND_CELLS, unicode=unicode)


def _alert(run: StoreRun, scene: Scene) -> Sequence[Run]:
    """Return the worst alert of a run, in a word."""
    found = next((one for one in scene.alerts if one.run == run.id), None)
    if found is None:
        return []
    mark, role = GLYPHS[found.severity]
    return [(f"{mark} {found.rule}", role)]


@dataclass(frozen=True)
class Column:
    """One column of the list."""

    title: str
    cells: int
    rank: int
    """Columns of the highest rank are left out first where the line is short."""
    cell: Callable[[StoreRun, Scene], Sequence[Run]]
    right: bool = True


def _text(make: Callable[[StoreRun, Scene], str], role: str = "text") -> Callable[
    [StoreRun, Scene], Sequence[Run]
]:
    return lambda run, scene: [(make(run, scene), role)]


def _loss(run: StoreRun, scene: Scene) -> Sequence[Run]:
    series = headline(run, "loss")
    return [(_number(series), "bright"), *_trend_arrow(series)]


def _throughput(run: StoreRun, scene: Scene) -> str:
    series = headline(run, "tokens_per_second")
    if series is not None:
        return _number(series, 3)
    counter = headline(run, "generated_tokens")
    return MISSING if counter is None else format_number(counter.rate(10.0, scene.now), 3)


COLUMNS: tuple[Column, ...] = (
    Column("KIND", 5, 6, _text(lambda run, _: run.phase, "dim"), right=False),
    Column("HOST", 14, 9, _text(lambda run, _: run.host, "dim"), right=False),
    Column("RANKS", 5, 8, _text(lambda run, _: _ranks(run))),
    Column("STEP", 9, 2, _text(lambda run, _: f"{run.step:,}" if run.step >= 0
                               and run.phase != "serve" else MISSING)),
    Column("LOSS", 13, 1, _loss),
    Column("ACC", 6, 5, _text(lambda run, _: _number(headline(run, "accuracy"), 3))),
    Column("TOK/S", 7, 4, _text(_throughput)),
    Column("P50", 7, 7, _text(lambda run, _: _quantile(run, 0.5))),
    Column("P99", 7, 6, _text(lambda run, _: _quantile(run, 0.99))),
    Column("LAST", 6, 3, _text(lambda run, scene: age_text(run, scene.now), "dim")),
    Column("ALERTS", 14, 3, lambda run, scene: _alert(run, scene), right=False),
    Column("TREND", TREND_CELLS, 8, lambda run, scene: _trend(run, scene.now, not scene.ascii),
           right=False),
)
NAME_CELLS = 16
FLEET_FROM = 2
"""Servers from which on their sum is told."""
RATE_SECONDS = 10.0
MOST_UNBOXED = 4
"""Runs from which on a border costs none of them its line."""


def fitting(cells: int, alerts: bool = True) -> list[Column]:
    """Return the columns that fit beside the name, in table order; `alerts`: there are some."""
    shown = [column for column in COLUMNS if alerts or column.title != "ALERTS"]
    while shown and sum(column.cells + 2 for column in shown) + NAME_CELLS + 4 > cells:
        shown.remove(max(shown, key=lambda column: column.rank))
    return shown


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    return scene.store.version, scene.alerts, tuple(
        age_text(run, scene.now) for run in scene.store.runs if not run.is_host)


def _line(mark: Run, name: Run, cells: Sequence[Sequence[Run]], columns: Sequence[Column],
          name_cells: int) -> Row:
    text, role = clip([name], name_cells)[0]
    line: list[Run] = [mark, (text + " " * (name_cells - width([(text, role)])), role)]
    for column, cell in zip(columns, cells, strict=True):
        cut = clip(cell, column.cells)
        pad = (" " * (column.cells - width(cut)), "blank")
        line += [("  ", "blank"), *([pad, *cut] if column.right else [*cut, pad])]
    return tuple(line)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the list, scrolled so that the selected run can be seen."""
    runs = matching(scene.store, scene.view)
    columns_wide, lines = inner(size, _box_from(runs))
    columns = fitting(columns_wide, bool(scene.alerts))
    taken = sum(column.cells + 2 for column in columns)
    name_cells = max(6, min(32, columns_wide - taken - 2))
    chosen = selected(scene.store, scene.view)
    head = _line(("  ", "blank"), ("NAME", "dim"),
                 [[(column.title, "dim")] for column in columns], columns, name_cells)
    body: list[Row] = [head] if lines > 2 else []
    room = max(1, lines - len(body))
    at = next((i for i, run in enumerate(runs) if run is chosen), 0)
    first = first_line(at, len(runs), room)
    for run in runs[first : first + room]:
        state, role = STATES.get(run.state, ("·", "dim"))
        here = run is chosen
        name = (run.name, "selected" if here else "text")
        body.append(_line((state[0] + " ", role), name,
                          [column.cell(run, scene) for column in columns], columns, name_cells))
    hidden = len(runs) - room
    right: list[Run] = [*_fleet(runs, scene.now), (f"{len(runs)}", "bright")]
    if hidden > 0:
        right += [(f" ({hidden} more ↑↓)", "dim")]
    return framed("runs", right, body, size, _box_from(runs))


def _fleet(runs: Sequence[StoreRun], now: float) -> list[Run]:
    """Return what several servers do together, in a few words before the number of runs."""
    servers = [run for run in runs if run.phase == "serve" and run.state == "live"]
    if len(servers) < FLEET_FROM:
        return []
    out: list[Run] = [(f"{len(servers)} servers ", "dim")]
    for name, unit in (("generated_tokens", "tok/s"), ("requests", "req/s")):
        counters = [one for run in servers if (one := headline(run, name)) is not None]
        if counters:
            total = sum(one.rate(RATE_SECONDS, now) for one in counters)
            out += [(format_number(total, 3), "text"), (f" {unit}  ", "dim")]
    return out


def _box_from(runs: Sequence[StoreRun]) -> int:
    """Return the rows from which the list has a border: where it costs no run its line."""
    return min(len(runs), MOST_UNBOXED) + 3


def first_line(at: int, count: int, room: int) -> int:
    """Return the first shown index so that `at` is in a window of `room` of `count` lines."""
    return max(0, min(at - room // 2, count - room))


def pick(scene: Scene, size: Size, x: int, y: int) -> View | None:
    """Return the view with the run on row `y` selected, None where there is none."""
    runs = matching(scene.store, scene.view)
    _, lines = inner(size, _box_from(runs))
    head = 1 + (lines > 2)
    chosen = selected(scene.store, scene.view)
    at = next((i for i, run in enumerate(runs) if run is chosen), 0)
    place = y - head
    index = first_line(at, len(runs), max(1, lines - head + 1)) + place
    if not 0 <= place < lines - head + 1 or not 0 <= index < len(runs):
        return None
    return choose(scene.view, runs[index].id)


CONTENT = Content("runs", frame, signature, pick=pick)
