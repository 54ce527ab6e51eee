"""The border of a panel: a hairline, its title left, the numbers that matter right."""

from __future__ import annotations

from collections.abc import Sequence

from llmtop.ui.layout import BOX_HEIGHT
from llmtop.ui.panels.base import Size
from llmtop.ui.rows import Row, Run, clip, fit, width


def is_boxed(size: Size, least: int = BOX_HEIGHT) -> bool:
    """Return whether the panel has room for a border on all four sides, from `least` rows on."""
    return size.height >= least and size.width >= 30


def inner(size: Size, least: int = BOX_HEIGHT) -> tuple[int, int]:
    """Return the (width, height) that is left for the panel's content."""
    if is_boxed(size, least):
        return max(0, size.width - 4), max(0, size.height - 2)
    return max(0, size.width - 1), max(0, size.height - 1)


def framed(
    title: str, right: Sequence[Run], body: Sequence[Row], size: Size, least: int = BOX_HEIGHT
) -> list[Row]:
    """Return `body` under its title, in a box where the panel has room for one."""
    edge = _edge(size)
    columns, lines = inner(size, least)
    boxed = is_boxed(size, least)
    rows = [title_row(title, right, size, least)]
    side, close = (("│ ", edge), (" │", edge)) if boxed else (("", edge), ("", edge))
    for y in range(lines):
        rows.append((side, *fit(body[y] if y < len(body) else (), columns), close))
    if boxed:
        rows.append((("╰" + "─" * (size.width - 2) + "╯", edge),))
    return rows[: size.height]


def title_row(title: str, right: Sequence[Run], size: Size, least: int = BOX_HEIGHT) -> Row:
    """Return the first row alone: the title, a hairline, the numbers that matter."""
    edge, boxed = _edge(size), is_boxed(size, least)
    left = ("╭─ " if boxed else "", edge)
    end = ((" ─╮" if right else "──╮") if boxed else "", edge)
    room = size.width - len(left[0]) - len(end[0]) - (0 if boxed else 1)
    name = clip([(title, "title" if not size.focused else "title-focus")], room)
    values = clip(right, max(0, room - width(name) - 3))
    rule = room - width(name) - width(values) - (2 if values else 1)
    head: Row = (
        left, *name, (" ", "blank"), ("─" * max(0, rule), edge),
        *(((" ", "blank"), *values) if values else ()), end,
    )
    return fit(head, size.width)


def _edge(size: Size) -> str:
    return "accent" if size.focused else "frame"
