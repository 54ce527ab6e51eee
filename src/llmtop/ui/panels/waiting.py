"""What stands there while a run has logged nothing yet."""

from __future__ import annotations

from collections.abc import Hashable

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed
from llmtop.ui.rows import Row


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    return None if scene.run is None else (scene.run.id, scene.run.state)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return why there is no chart, and what makes one."""
    run = scene.run
    body: list[Row] = [
        ((f"{run.name if run else ''} has logged no metric yet", "text"),),
        (('run.log({"loss": loss}, step=step)', "accent"), (" makes the first chart", "dim")),
    ]
    if scene.view.filter:
        body = [((f"no metric's name contains {scene.view.filter!r}", "text"),),
                (("esc", "accent"), (" clears the filter", "dim"))]
    elif run is not None and run.state in ("failed", "died") and run.reason:
        body.insert(0, ((run.reason, "critical"),))
    return framed("metrics", (), body, size)


CONTENT = Content("waiting", frame, signature, focusable=False)
