"""Which widgets nothing stands before."""

from __future__ import annotations

from textual.geometry import Region
from textual.widget import Widget

from llmtop.ui.terminal.alone import alone

SCREEN = Region(0, 0, 80, 24)


def test_what_nothing_covers_and_nothing_cuts_stands_alone() -> None:
    toast, left, right, cut, board = (Widget() for _ in range(5))
    visible = {
        toast: (Region(60, 20, 20, 3), SCREEN),
        left: (Region(0, 1, 40, 22), SCREEN),
        right: (Region(40, 1, 40, 22), SCREEN),
        cut: (Region(0, 23, 80, 3), SCREEN),
        board: (Region(0, 1, 80, 22), SCREEN),
    }
    assert alone(visible) == {toast: Region(60, 20, 20, 3), left: Region(0, 1, 40, 22)}
    del visible[toast]
    assert alone(visible).keys() == {left, right}
