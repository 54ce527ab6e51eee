"""Strokes: pieces of rows in one pen, and the shortest way to have a terminal draw many of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llmtop.ui.terminal.pen import DEFAULT_PEN, Pen, change

LONG_COLOUR = 8
"""Characters of a colour ("38;2;79;193;255", "38;5;244") from which a move costs less than it."""
UNKNOWN_CURSOR = -1


class Stroke(NamedTuple):
    """Text at a place."""

    y: int
    x: int
    text: str
    pen: Pen
    plain: bool
    """All terminals agree about its width."""


class Brush:
    """Where the terminal's cursor is, and with what it draws; `take` hands out the bytes."""

    def __init__(self, width: int) -> None:
        """Know nothing of the cursor on a terminal of `width` columns."""
        self._width = width
        self._out: list[str] = []
        self._pen = DEFAULT_PEN
        # The cursor is wherever Textual left it until the first move.
        self._x = self._y = UNKNOWN_CURSOR

    def draw(self, strokes: Sequence[Stroke]) -> None:
        """Draw strokes of which none lies over another, in whatever order is the shortest."""
        out = self._out
        for y, x, text, pen, plain in _ordered(strokes):
            self._move(y, x)
            sequence, self._pen = change(self._pen, pen)
            if sequence:
                out.append(sequence)
            out.append(text)
            self._x, self._y = x + len(text), y
            # A terminal may hold the cursor on the last column, and may disagree with us about the
            # width of rarer characters: the next move is then an absolute one.
            if self._x >= self._width or not plain:
                self._x = self._y = UNKNOWN_CURSOR

    def raw(self, y: int, x: int, text: str) -> None:
        """Write `text`, which begins and ends with a reset pen, as it is."""
        self._move(y, x)
        sequence, self._pen = change(self._pen, DEFAULT_PEN)
        self._out += (sequence, text)
        self._x = self._y = UNKNOWN_CURSOR

    def take(self) -> str:
        """Return everything to be written since the last call, ending with a reset pen."""
        sequence, self._pen = change(self._pen, DEFAULT_PEN)
        self._out.append(sequence)
        text = "".join(self._out)
        self._out.clear()
        self._x = self._y = UNKNOWN_CURSOR
        return text

    def _move(self, y: int, x: int) -> None:
        if (y, x) != (self._y, self._x):
            place = f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H"
            if self._y >= 0:
                near = _down(y - self._y) + _along(self._x, x)
                place = near if len(near) < len(place) else place
            self._out.append(place)
            self._x, self._y = x, y


def _ordered(strokes: Sequence[Stroke]) -> Sequence[Stroke]:
    """Return strokes pen by pen where a colour is longer than a move, else as they are."""
    long = sum(len(stroke.pen.foreground) >= LONG_COLOUR for stroke in strokes)
    if long * 2 <= len(strokes):
        return strokes
    turn: dict[Pen, int] = {}
    for stroke in strokes:
        turn.setdefault(stroke.pen, len(turn))
    return sorted(strokes, key=lambda stroke: (turn[stroke.pen], stroke.y, stroke.x))


def _down(rows: int) -> str:
    """Return the shortest relative move by rows."""
    if not rows:
        return ""
    letter = "B" if rows > 0 else "A"
    return f"\x1b[{abs(rows)}{letter}" if abs(rows) > 1 else f"\x1b[{letter}"


def _along(here: int, x: int) -> str:
    """Return the shortest move along a row, from column `here` to column `x`."""
    cells = x - here
    if cells > 0:
        return f"\x1b[{cells}C" if cells > 1 else "\x1b[C"
    if not cells:
        return ""
    if not x:
        return "\r"
    absolute = f"\x1b[{x + 1}G"
    return "\b" * -cells if -cells < len(absolute) else absolute
