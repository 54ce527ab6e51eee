"""What the terminal shows, cell by cell, and the fewest bytes that make it show something else.

No Textual here: rows of characters and pens go in, escape sequences come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import compress
from operator import is_not, ne, or_

from rich.cells import get_character_cell_size

from llmtop.ui.terminal.pen import DEFAULT_PEN, Pen
from llmtop.ui.terminal.strokes import Brush, Stroke

UNKNOWN = ""
"""The character of a cell nobody knows the content of: equal to none that is drawn."""

LONGEST_GAP = 4
"""Unchanged cells between two changed runs that may be written again instead of jumped over: the
jump costs 3 or 4 bytes, so a longer gap never pays."""

_PLAIN = frozenset(
    chr(code)
    for first, last in (
        (0x20, 0x7E),
        (0xA0, 0xAC),
        (0xAE, 0x2FF),
        (0x370, 0x482),
        (0x2500, 0x25FC),
        (0x2800, 0x28FF),
    )
    for code in range(first, last + 1)
)
_is_plain = _PLAIN.issuperset


@lru_cache(maxsize=4096)
def _is_single(character: str) -> bool:
    return get_character_cell_size(character) == 1


def one_cell_each(text: str) -> bool:
    """Return whether every character of `text` takes exactly one cell."""
    return _is_plain(text) or all(map(_is_single, text))


def _jump_pays(chars: list[str], pens: list[Pen], last: int, index: int) -> bool:
    """Return whether jumping from cell `last` to cell `index` is shorter than writing on."""
    if index - last - 1 > LONGEST_GAP:
        return True
    pen = pens[last]
    size = 0
    for cell in range(last + 1, index):
        if pens[cell] is not pen and pens[cell] is not pen.blank:
            return True
        size += 1 if chars[cell] < "\x7f" else 3
    return size > (3 if index - last == 2 else 4)


class CellScreen:
    """The terminal's cells as last written; `take` hands out the bytes for what changed since."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._chars = [[UNKNOWN] * width for _ in range(height)]
        self._pens: list[list[Pen]] = [[DEFAULT_PEN] * width for _ in range(height)]
        self._strokes: list[Stroke] = []
        self._drawn: dict[int, list[tuple[int, int]]] = {}
        """By row, from where to where there are strokes."""
        self._brush = Brush(width)

    def draw(self, y: int, x: int, chars: list[str], pens: list[Pen]) -> None:
        """Make row `y` show `chars` from column `x` on, one character and one pen a cell.

        Raises:
            IndexError: The cells lie outside the screen.
        """
        end = x + len(chars)
        if x < 0 or end > self.width or not 0 <= y < self.height:
            raise IndexError(f"cells {x}-{end} of row {y} on {self.width}x{self.height}")
        row, row_pens = self._chars[y], self._pens[y]
        old, old_pens = row[x:end], row_pens[x:end]
        if old == chars and old_pens == pens:
            return
        row[x:end] = chars
        row_pens[x:end] = pens
        drawn = self._drawn.setdefault(y, [])
        if any(start < end and x < stop for start, stop in drawn):
            # Strokes change their order, so none may lie over another.
            self._settle()
            drawn = self._drawn.setdefault(y, [])
        drawn.append((x, end))
        differs = map(or_, map(ne, chars, old), map(is_not, pens, old_pens))
        changed = list(compress(range(len(chars)), differs))
        start = last = changed[0]
        for index in changed:
            if index - last > 1 and _jump_pays(chars, pens, last, index):
                self._strokes += _strokes(y, x, start, last + 1, chars, pens)
                start = index
            last = index
        self._strokes += _strokes(y, x, start, last + 1, chars, pens)

    def write_raw(self, y: int, x: int, text: str) -> None:
        """Write `text` as it is at column `x`, and forget the rest of row `y`.

        For text whose width terminals disagree about: whatever stands to its right may have
        moved, so it is written again when it is next drawn.
        """
        self._settle()
        self._brush.raw(y, x, text)
        self._chars[y][x:] = [UNKNOWN] * (self.width - x)

    def take(self) -> str:
        """Return everything to be written since the last call, ending with a reset pen."""
        self._settle()
        return self._brush.take()

    def _settle(self) -> None:
        self._brush.draw(self._strokes)
        self._strokes, self._drawn = [], {}


def _strokes(
    y: int, x: int, start: int, end: int, chars: list[str], pens: list[Pen]
) -> Iterator[Stroke]:
    """Yield cells `start` to `end` in as few strokes as they have pens that differ visibly."""
    while start < end:
        pen = pens[start]
        stop = start + 1
        while stop < end:
            other = pens[stop]
            if other is not pen and other is not pen.blank:
                if other.blank is not pen:
                    break
                # Spaces are drawn with the pen of what follows them.
                pen = other
            stop += 1
        text = "".join(chars[start:stop])
        yield Stroke(y, x + start, text, pen, _is_plain(text))
        start = stop
