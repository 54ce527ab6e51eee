"""The last lines that a run printed and that no format reads as metrics."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip

BOX_FROM = 4
"""Rows from which the lines have a border."""


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.run
    return None if run is None else (run.id, len(run.log), run.log[-1] if run.log else None)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the newest lines, the newest last; a filter keeps those that hold its text."""
    run = scene.run
    columns, lines = inner(size, BOX_FROM)
    if run is None or not run.log:
        name = "" if run is None else f"{run.name} "
        body: list[Row] = [
            ((f"{name}has printed nothing that llmtop sees", "text"),),
            (("llmtop -- COMMAND", "accent"), (" or ", "dim"),
             ("COMMAND 2>&1 | llmtop -", "accent"), (" shows a program's output here", "dim")),
        ]
        return framed("log", (), body, size, BOX_FROM)
    needle = scene.view.filter.lower()
    if needle in run.name.lower():
        needle = ""
    kept = (event for event in reversed(run.log) if needle in event.text.lower())
    newest = [clip([(event.text, "text")], columns) for event in islice(kept, lines)]
    count: list[Run] = [(f"{len(run.log):,}", "bright"), (" lines", "dim")]
    return framed("log", count, newest[::-1], size, BOX_FROM)


CONTENT = Content("log", frame, signature)
