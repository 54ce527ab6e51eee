"""What stands on the screen while there is nothing to show: the host, and how to get data in."""

from __future__ import annotations

from collections.abc import Hashable
from textwrap import wrap

from llmtop.ui.host import host_line
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.rows import Row, width

LINES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("No run yet. ", "bright"), ("It appears here by itself as soon as one publishes.", "text")),
    (),
    (("see it work        ", "dim"), ("llmtop demo", "accent")),
    (("in your script     ", "dim"), ("import llmtop", "accent")),
    (("                   ", "dim"), ('run = llmtop.init("my-run", total_steps=50_000)', "accent")),
    (("                   ", "dim"), ('run.log({"loss": loss}, step=step)', "accent")),
    (("then               ", "dim"), ("just leave this window open", "text")),
)
TROUBLE_CELLS = 72
"""A sentence is read more easily when its lines are not as wide as the screen."""


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on: the filter that may hide every run."""
    there = sum(not run.is_host for run in scene.store.runs)
    return scene.looking, scene.trouble, scene.view.filter, there


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the lines in the middle of the panel."""
    lines: list[Row] = [tuple(line) for line in LINES]
    if scene.looking:
        lines = [(("looking for runs ...", "dim"),)]
    if scene.trouble:
        lines[:0] = [*trouble(scene, size), ()]
    if any(not run.is_host for run in scene.store.runs):
        lines = [((f"No run's name contains {scene.view.filter!r}.", "bright"),),
                 (("esc", "accent"), (" clears the filter", "text"))]
    if size.height > len(lines) + 3:
        lines += [(), (("this machine       ", "dim"), (host_line(), "text"))]
    block = max(width(line) for line in lines)
    left = max(0, min((size.width - block) // 2, size.width // 4))
    top = max(0, (size.height - len(lines)) // 3)
    blank: Row = ()
    return [blank] * top + [((" " * left, "blank"), *line) for line in lines]


def trouble(scene: Scene, size: Size) -> list[Row]:
    """Return why a source is lost, in full."""
    cells = max(min(size.width - 8, TROUBLE_CELLS), 20)
    lines = wrap(f"▲ {scene.trouble}", cells, break_on_hyphens=False) if scene.trouble else []
    return [((line, "critical"),) for line in lines]


CONTENT = Content("welcome", frame, signature, focusable=False)
