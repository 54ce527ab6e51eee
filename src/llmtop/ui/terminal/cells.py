"""What the terminal shows, cell by cell, and the fewest bytes that make it show something else.

No Textual here: rows of characters and pens go in, escape sequences come out.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress
from operator import is_not, ne, or_

from rich.cells import get_character_cell_size

from llmtop.ui.terminal.pen import DEFAULT_PEN, Pen, change

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
        self._out: list[str] = []
        self._pen = DEFAULT_PEN
        # The cursor is wherever Textual left it until the first move.
        self._x = self._y = -1

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
        differs = map(or_, map(ne, chars, old), map(is_not, pens, old_pens))
        changed = list(compress(range(len(chars)), differs))
        start = last = changed[0]
        for index in changed:
            if index - last > 1 and _jump_pays(chars, pens, last, index):
                self._write(y, x, start, last + 1, chars, pens)
                start = index
            last = index
        self._write(y, x, start, last + 1, chars, pens)

    def write_raw(self, y: int, x: int, text: str) -> None:
        """Write `text` as it is at column `x`, and forget the rest of row `y`.

        For text whose width terminals disagree about: whatever stands to its right may have
        moved, so it is written again when it is next drawn.
        """
        self._move(y, x)
        sequence, self._pen = change(self._pen, DEFAULT_PEN)
        self._out += (sequence, text)
        self._chars[y][x:] = [UNKNOWN] * (self.width - x)
        self._x = self._y = -1

    def take(self) -> str:
        """Return everything to be written since the last call, ending with a reset pen."""
        sequence, self._pen = change(self._pen, DEFAULT_PEN)
        self._out.append(sequence)
        text = "".join(self._out)
        self._out.clear()
        self._x = self._y = -1
        return text

    def _write(
        self, y: int, x: int, start: int, end: int, chars: list[str], pens: list[Pen]
    ) -> None:
        self._move(y, x + start)
        out = self._out
        plain = _is_plain(chars[start:end])
        while start < end:
            wanted = pens[start]
            stop = start + 1
            while stop < end and pens[stop] is wanted:
                stop += 1
            sequence, self._pen = change(self._pen, wanted)
            if sequence:
                out.append(sequence)
            out.extend(chars[start:stop])
            start = stop
        self._x, self._y = x + end, y
        # A terminal may hold the cursor on the last column, and may disagree with us about the
        # width of rarer characters: the next move is then an absolute one.
        if self._x >= self.width or not plain:
            self._x = self._y = -1

    def _move(self, y: int, x: int) -> None:
        if self._y == y:
            forward = x - self._x
            if forward > 1:
                self._out.append(f"\x1b[{forward}C")
            elif forward == 1:
                self._out.append("\x1b[C")
            elif forward:
                self._out.append(f"\x1b[{x + 1}G" if x else "\r")
        elif self._x == x and self._y == y - 1 and self._y >= 0:
            self._out.append("\x1b[B")
        else:
            self._out.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        self._x, self._y = x, y
