"""Results that are single numbers: benchmark scores and summaries, as a table instead of charts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip, fit, width
from llmtop.units import format_value

if TYPE_CHECKING:
    from llmtop.store import Series
    from llmtop.ui.shown import Shown

BOX_FROM = 5
ERROR_SUFFIXES = ("_stderr", "_std")
"""Names of the uncertainty of another name, which is shown beside it."""
GAP = 3
"""Cells between two columns of the table."""
MOST_NAME = 48


def is_table(shown: Shown) -> bool:
    """Return whether a run is results only: every name has one value."""
    return bool(shown.series) and all(series.n == 1 for series in shown.series)


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    shown = scene.shown
    return None if shown is None else (shown.run.id, tuple(s.version for s in shown.series))


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the table, in as many columns as fit, names of one task together."""
    shown = scene.shown
    if shown is None:
        return framed("results", (), (), size, BOX_FROM)
    needle = scene.view.filter.lower()
    if needle in shown.run.name.lower():
        needle = ""
    cells = [_cell(series, shown) for series in shown.series
             if needle in series.name.lower() and not _is_error(series.name, shown)]
    columns, lines = inner(size, BOX_FROM)
    name_cells = min(MOST_NAME, max((width([name]) for name, _ in cells), default=0))
    value_cells = max((width(value) for _, value in cells), default=0)
    each = name_cells + 2 + value_cells
    across = max(1, min((columns + GAP) // (each + GAP), -(-len(cells) // max(lines, 1))))
    deep = min(lines, -(-len(cells) // across))
    body: list[Row] = []
    for y in range(deep):
        row: list[Run] = []
        for x in range(across):
            at = x * deep + y
            if at < len(cells):
                name, value = cells[at]
                pad = (" " * (value_cells - width(value)), "blank")
                row += [*fit([name], name_cells), ("  ", "blank"), pad, *value,
                        (" " * GAP, "blank")]
        body.append(clip(row, columns))
    hidden = len(cells) - across * deep
    right: list[Run] = [(str(len(cells)), "bright")]
    if hidden > 0:
        right.append((f" ({hidden} more: widen the window or filter with /)", "dim"))
    return framed("results", right, body, size, BOX_FROM)


def _cell(series: Series, shown: Shown) -> tuple[Run, list[Run]]:
    value: list[Run] = [(_last(series), "bright")]
    for suffix in ERROR_SUFFIXES:
        found = shown.named.get(_error_name(series.name, suffix), ())
        if found:
            value.append((f" ±{_last(found[0])}", "dim"))
            break
    return (series.name, "text"), value


def _last(series: Series) -> str:
    last = series.last
    return format_value(None if last is None else last.value * series.factor, series.quantity)


def _error_name(name: str, suffix: str) -> str:
    """Return "task/acc_stderr,none" for "task/acc,none"."""
    head, comma, tail = name.partition(",")
    return f"{head}{suffix}{comma}{tail}"


def _is_error(name: str, shown: Shown) -> bool:
    return any(
        suffix in name and name.replace(suffix, "", 1) in shown.named for suffix in ERROR_SUFFIXES
    )


CONTENT = Content("values", frame, signature, focusable=False)
