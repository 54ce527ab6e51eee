"""The ranks of a run: a cell each, by host; who is in trouble, and the one that is looked at."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.rank_cells import MARGIN, Block, Strip, hosts_of, strip
from llmtop.ui.rows import Row, Run, fit, spread
from llmtop.units import format_duration

if TYPE_CHECKING:
    from llmtop.rules.fleet import Fleet
    from llmtop.store import Run as StoreRun
    from llmtop.ui.view import View

CELLS: tuple[tuple[Run, str], ...] = (
    (("▲", "critical"), "died"), (("▼", "critical"), "hung"), (("○", "warning"), "silent"),
    (("●", "warning"), "slow"), (("·", "dim"), "not seen"), (("▪", "text"), "a bit slow"),
    (("■", "dim"), "on pace"), (("✓", "ok"), "finished"),
)
"""State of a rank, worst first as in `rules.fleet`: its glyph and its word."""
AROUND = 2
"""Lines above and below the cells."""
SHARE, MOST_LINES, FEWEST_LINES = 4, 12, 1
"""The panel takes a quarter of the height at most."""
WORTH_TELLING = 0.05
"""How far a speed must be from the median's to be told."""
OF_MEDIAN = " the median's time"
BRIEF = 90
"""Panels narrower than this say less of the slowest rank, but say it."""
NARROW = 140
"""Panels narrower than this have no room for both a rank and the keys that lead to others."""
AT_ONCE = 3.0
"""Seconds within which a sign of life is of now: publishers beat every two."""
HINT = "r worst  [ ] rank  { } host"
BACK = "r next  [ ] rank  { } host  esc all"


def has_ranks(run: StoreRun | None) -> bool:
    """Return whether a run has several ranks."""
    return run is not None and max(run.world_size or 1, len(run.ranks)) > 1


def lines(scene: Scene, width: int, height: int) -> int:
    """Return how many lines the panel takes of so many cells."""
    return AROUND + len(_strip(scene, width, _most(height)).rows)


def _most(height: int) -> int:
    return max(FEWEST_LINES, min(MOST_LINES, height // SHARE - AROUND))


def _strip(scene: Scene, width: int, most: int) -> Strip:
    run = scene.run
    assert run is not None
    return strip(hosts(run), width, most)


def hosts(run: StoreRun) -> list[tuple[str, list[int]]]:
    """Return the ranks of each host."""
    from llmtop.rules.fleet import ranks_of

    return hosts_of(ranks_of(run), {rank: seen.host for rank, seen in run.ranks.items()})


def fleet(scene: Scene) -> Fleet | None:
    """Return the ranks of the selected run, compared; None where it has no several."""
    from llmtop.rules.fleet import fleet_of

    if scene.shown is None or not has_ranks(scene.run):
        return None
    return fleet_of(scene.shown.run, scene.shown.pace, scene.now)


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on at once."""
    run = scene.run
    return None if run is None else (
        run.id, run.world_size, tuple(seen.state for seen in run.ranks.values()))


def pulse(scene: Scene, size: Size) -> Hashable:
    """Return what moves with every sample and, while something lives, with every second."""
    run = scene.run
    if run is None:
        return None
    return run.version, scene.now // 1 if run.state in ("live", "stale") else 0


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return what is to be said of all, the cells, and a line of the selected rank."""
    run, known = scene.run, fleet(scene)
    if run is None or known is None:
        return []
    cells = _strip(scene, size.width, size.height - AROUND)
    state = dict(zip(known.rank.tolist(), known.state.tolist(), strict=True))
    body = [_row(cells, row, state, scene.view.rank) for row in cells.rows]
    room, brief = size.width - 1, size.width < BRIEF
    return [
        spread([(" ", "blank"), *_summary(run, known, brief)], _scale(run, cells, brief), room),
        *body,
        spread([(" ", "blank"), *_one(run, known, scene)], _hint(scene, size), room),
    ]


def _row(cells: Strip, row: Sequence[Block], state: dict[int, int], chosen: int | None) -> Row:
    out: list[Run] = [(" " * MARGIN, "blank")]
    for label, block in row:
        if label:
            out += [*fit([(label, "dim")], cells.label_cells - 1), (" ", "blank")]
        for ranks in block:
            glyph, role = CELLS[min(state[rank] for rank in ranks)][0]
            role = "selected" if chosen in ranks else role
            if out[-1][1] == role:
                out[-1] = out[-1][0] + glyph, role
            else:
                out.append((glyph, role))
        out.append((" " * cells.gap, "blank"))
    return tuple(out[:-1])


def _summary(run: StoreRun, known: Fleet, brief: bool) -> list[Run]:
    """Return how many ranks live, and what is wrong with the others."""
    from llmtop.rules.fleet import ALIVE, LIVE, SLOWER, STALE

    live = sum(known.count(state) for state in ALIVE)
    out: list[Run] = [("ranks ", "dim"), (f"{live:,}", "bright"),
                      (f"/{len(known.rank):,} live", "dim")]
    for state, ((glyph, role), word) in enumerate(CELLS):
        if state in (LIVE, SLOWER) or not (count := known.count(state)):
            continue
        out += [("  ", "blank"), (f"{glyph} {count:,} {word}", role)]
        if state == STALE:
            since = float(known.silent[known.state == STALE].max())
            out.append((f" {format_duration(since)}", role))
    return [*out, *_slowest(known, brief), *clock_off(run)]


def _slowest(known: Fleet, brief: bool) -> list[Run]:
    rank = known.slowest
    if rank is None:
        return []
    at = int(known.rank.searchsorted(rank))
    told = [part for part in (_pace(float(known.speed[at])), _behind(known, at)) if part]
    words = told[0].removesuffix(OF_MEDIAN) if brief and told else ", ".join(told)
    return [("  slowest ", "dim"), (str(rank), "text"), (f" {words}", "dim")]


def _pace(speed: float) -> str:
    """Return how a speed compares, "" where that is not known."""
    if not 0 < speed < float("inf") or abs(speed - 1) < WORTH_TELLING:
        return ""
    return f"{1 / speed:.2g}x{OF_MEDIAN}"


def _behind(known: Fleet, at: int) -> str:
    """Return how far behind the furthest a rank is, "" where it is not."""
    step, furthest = int(known.step[at]), int(known.step.max())
    return f"{furthest - step:,} steps behind" if 0 <= step < furthest else ""


def clock_off(run: StoreRun) -> list[Run]:
    """Return which clock of a run's machines is furthest from this one's, where that matters."""
    worst = run.clock_off()
    if worst is None:
        return []
    more = len({one.host for one in run.ranks.values() if one.is_off}) - 1
    others = f" and {more} more" if more > 0 else ""
    return [("  ", "blank"), (f"● clock of {worst.host} {_ahead(worst.ahead)}{others}", "warning")]


def _ahead(seconds: float) -> str:
    return f"{abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"


def _scale(run: StoreRun, cells: Strip, brief: bool) -> list[Run]:
    """Return what a cell stands for where it is more than a rank, else how many hosts there are."""
    if cells.each > 1:
        return [(f"{cells.each}", "text"), (" a cell" if brief else " ranks a cell ", "dim")]
    count = len({seen.host for seen in run.ranks.values()})
    return [(f"{count:,}", "text"), (" hosts ", "dim")] if count > 1 else []


def _one(run: StoreRun, known: Fleet, scene: Scene) -> list[Run]:
    """Return what is known of the selected rank."""
    rank = scene.view.rank
    if rank is None:
        return []
    out: list[Run] = [("rank ", "dim"), (str(rank), "selected")]
    seen, at = run.ranks.get(rank), int(known.rank.searchsorted(rank))
    if seen is None or at >= len(known.rank) or known.rank[at] != rank:
        return [*out, ("  not seen yet", "dim")]
    (glyph, role), word = CELLS[int(known.state[at])]
    out += [("  ", "blank"), (f"{glyph} {word}", role), (f"  {seen.host}", "text"),
            ("  pid ", "dim"), (str(seen.pid), "text")]
    if seen.step >= 0:
        out += [("  step ", "dim"), (f"{seen.step:,}", "bright")]
        behind = _behind(known, at)
        out += [(f" ({behind})", "text")] if behind else []
    if known.rate[at] >= 0:
        out += [("  ", "blank"), (f"{known.rate[at]:.3g}", "bright"), (" steps/s", "dim")]
    if known.rate[at] and (pace := _pace(float(known.speed[at]))):
        out.append((f"  {pace}", "dim"))
    if seen.is_off:
        out += [("  ", "blank"), (f"clock {_ahead(seen.ahead)}", "warning")]
    silent = float(known.silent[at])
    ago = "now" if silent < AT_ONCE else f"{format_duration(silent)} ago"
    return [*out, ("  seen ", "dim"), (ago, "text")]


def _hint(scene: Scene, size: Size) -> list[Run]:
    if size.width < NARROW and scene.view.rank is not None:
        return []
    return [(f"{HINT if scene.view.rank is None else BACK} ", "dim")]


def pick(scene: Scene, size: Size, x: int, y: int) -> View | None:
    """Return the view with the rank under the mouse selected, the worst where a cell has some."""
    known = fleet(scene)
    ranks = () if known is None else _strip(scene, size.width, size.height - AROUND).at(x, y - 1)
    if known is None or not ranks:
        return None
    state = dict(zip(known.rank.tolist(), known.state.tolist(), strict=True))
    return replace(scene.view, rank=min(ranks, key=lambda rank: state[rank]))


CONTENT = Content("ranks", frame, signature, focusable=False, pulse=pulse, pick=pick)
