from __future__ import annotations

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtop.ui.terminal.cells import CellScreen, one_cell_each
from llmtop.ui.terminal.pen import Pen, parse_pen

WIDTH, HEIGHT = 14, 3
SGRS = ("", "31", "1;31;44", "48;5;3", "4;32", "38;2;9;8;7", "38;2;7;8;9;48;2;1;2;3")
PENS = [parse_pen(sgr) for sgr in SGRS]

Piece = tuple[int, int, str, list[int]]


@st.composite
def piece(draw: st.DrawFn) -> Piece:
    y = draw(st.integers(0, HEIGHT - 1))
    x = draw(st.integers(0, WIDTH - 1))
    text = draw(st.text("ab ⣿─…", min_size=1, max_size=WIDTH - x))
    pens = draw(st.lists(st.sampled_from(range(len(PENS))), min_size=len(text), max_size=len(text)))
    return y, x, text, pens


def blanked(text: str, pens: list[int]) -> list[Pen]:
    return [
        PENS[pen].blank if char == " " else PENS[pen]
        for char, pen in zip(text, pens, strict=True)
    ]


def shown(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    return [
        [
            (cell.data, cell.bg, cell.underscore) + (() if cell.data == " " else tuple(cell))
            for cell in (screen.buffer[y][x] for x in range(WIDTH))
        ]
        for y in range(HEIGHT)
    ]


@settings(max_examples=150)
@given(st.lists(st.lists(piece(), max_size=5), max_size=5))
def test_the_terminal_shows_what_writing_everything_would_show(frames: list[list[Piece]]) -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    ours, naive = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT)
    one, two = pyte.Stream(ours), pyte.Stream(naive)
    for frame in frames:
        for y, x, text, pens in frame:
            cells.draw(y, x, list(text), blanked(text, pens))
            for at, (char, pen) in enumerate(zip(text, pens, strict=True)):
                two.feed(f"\x1b[{y + 1};{x + at + 1}H\x1b[0;{SGRS[pen]}m{char}")
        one.feed(cells.take())
        assert shown(ours) == shown(naive)


def test_nothing_is_written_when_nothing_changes() -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    cells.draw(1, 2, list("abc"), [PENS[1]] * 3)
    assert cells.take()
    cells.draw(1, 2, list("abc"), [PENS[1]] * 3)
    assert cells.take() == ""


def test_one_changed_character_is_one_move_and_one_character() -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    cells.draw(1, 0, list("step 100 of"), [PENS[0]] * 11)
    cells.take()
    cells.draw(1, 0, list("step 200 of"), [PENS[0]] * 11)
    assert cells.take() == "\x1b[2;6H2"


def test_a_short_gap_is_written_over_and_a_long_one_jumped() -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    cells.draw(0, 0, list("a12b3456789c"), [PENS[0]] * 12)
    cells.take()
    cells.draw(0, 0, list("A12B3456789C"), [PENS[0]] * 12)
    assert cells.take() == "\x1b[1HA12B\x1b[7CC"


def test_after_raw_text_the_rest_of_its_row_is_unknown() -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    cells.draw(0, 0, list("abcdefghijklmn"), [PENS[0]] * WIDTH)
    cells.take()
    cells.write_raw(0, 4, "世界")
    cells.draw(0, 8, list("ijkl"), [PENS[0]] * 4)
    assert cells.take() == "\x1b[1;5H世界\x1b[1;9Hijkl"


@pytest.mark.parametrize(("y", "x", "count"), [(0, -1, 2), (0, 13, 2), (3, 0, 1), (-1, 0, 1)])
def test_cells_outside_the_screen_are_refused(y: int, x: int, count: int) -> None:
    with pytest.raises(IndexError):
        CellScreen(WIDTH, HEIGHT).draw(y, x, ["a"] * count, [PENS[0]] * count)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("step 1", True), ("⣿─╭▲●…→✓", True), ("世", False), ("e\u0301", False), ("a\x07", False)],
)
def test_which_text_takes_one_cell_a_character(text: str, expected: bool) -> None:
    assert one_cell_each(text) is expected


def test_a_long_colour_is_chosen_once_and_moves_are_the_shortest() -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    for y in range(3):
        cells.draw(y, 2, list("ab"), [PENS[5], PENS[6]])
    assert cells.take() == (
        "\x1b[1;3H\x1b[38;2;9;8;7ma\x1b[B\ba\x1b[B\ba"
        "\x1b[2A\x1b[38;2;7;8;9;48;2;1;2;3mb\x1b[B\bb\x1b[B\bb\x1b[m")


def test_short_colours_are_left_in_the_order_of_the_row() -> None:
    cells = CellScreen(WIDTH, HEIGHT)
    cells.draw(0, 0, list("abc"), [PENS[1], PENS[3], PENS[1]])
    assert cells.take().count("\x1b[1;") == 0
