"""The rank strip: one cell a rank, so that a missing or silent rank is seen at a glance."""

from __future__ import annotations

from collections.abc import Hashable

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.rows import Row, Run, clip, spread

CELLS: dict[str, Run] = {
    "live": ("■", "ok"),
    "stale": ("○", "warning"),
    "finished": ("✓", "ok"),
    "failed": ("▲", "critical"),
    "died": ("▲", "critical"),
}
NEVER_SEEN: Run = ("·", "dim")


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.run
    if run is None:
        return None
    return run.id, run.world_size, tuple((k, r.state) for k, r in run.ranks.items())


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the strip and an empty line."""
    run = scene.run
    if run is None:
        return []
    world = max(run.world_size or 0, 1 + max(run.ranks, default=0))
    states = {rank: seen.state for rank, seen in run.ranks.items()}
    cells = [CELLS.get(states.get(rank, ""), NEVER_SEEN) for rank in range(world)]
    live = sum(state == "live" for state in states.values())
    steps = [seen.step for seen in run.ranks.values() if seen.step >= 0]
    behind = max(steps) - min(steps) if steps else 0
    right: list[Run] = [(f"{live}/{world}", "bright"), (" live", "dim")]
    if behind:
        right += [("   slowest rank ", "dim"), (f"{behind:,} steps behind", "text")]
    room = size.width - 30 - 8
    strip = clip(cells, max(4, room))
    return [spread([(" ranks  ", "dim"), *strip], [*right, (" ", "blank")], size.width), ()]


CONTENT = Content("ranks", frame, signature, focusable=False)
