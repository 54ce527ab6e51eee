"""The selected run's events, newest first: checkpoints, annotations, and how it ended."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import TYPE_CHECKING

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip

if TYPE_CHECKING:
    from llmtop.samples import Event

GLYPHS = {
    "critical": ("▲", "critical"),
    "error": ("▲", "critical"),
    "warning": ("●", "warning"),
    "checkpoint": ("◆", "ok"),
    "eval": ("•", "series-2"),
}
"""Level -> glyph and role; any other level is a faint dot."""


BOX_FROM = 5
"""Rows from which the list has a border: it needs no room for axes."""


def glyph(event: Event) -> Run:
    """Return the mark of an event; a checkpoint is known by its text too."""
    level = event.level.lower()
    if level not in GLYPHS and "checkpoint" in event.text.lower():
        level = "checkpoint"
    return GLYPHS.get(level, ("·", "dim"))


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.run
    return None if run is None else (run.id, len(run.events), run.state, run.reason)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return one line an event."""
    run = scene.run
    columns, lines = inner(size, BOX_FROM)
    body: list[Row] = []
    events = [] if run is None else list(run.events)[-lines:]
    for event in reversed(events):
        clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
        mark, role = glyph(event)
        shade = role if role in ("critical", "warning") else "text"
        body.append(clip([(mark, role), (" ", "blank"), (clock, "dim"), (" ", "blank"),
                          (event.text, shade)], columns))
    if not body:
        body = [(("no events yet; run.event(\"...\") adds one", "dim"),)]
    count = 0 if run is None else len(run.events)
    return framed("events", [(str(count), "bright")] if count else [], body, size,
                  BOX_FROM)


CONTENT = Content("events", frame, signature)
