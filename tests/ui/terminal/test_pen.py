from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.ui.terminal.pen import DEFAULT_PEN, change, parse_pen

COLOURS = st.sampled_from(["", "31", "94", "5;100", "2;10;20;30", "2;1;2;3"])


@st.composite
def sgr(draw: st.DrawFn) -> str:
    attributes = draw(st.sets(st.sampled_from(["1", "3", "4", "5", "7", "9"])))
    fore, back = draw(COLOURS), draw(COLOURS)
    codes = sorted(attributes)
    if fore:
        codes.append(fore if fore.isdigit() else f"38;{fore}")
    if back:
        codes.append(str(int(back) + 10) if back.isdigit() else f"48;{back}")
    return ";".join(codes)


def cell(text: str) -> tuple[object, ...]:
    screen = pyte.Screen(4, 1)
    pyte.Stream(screen).feed(text)
    return tuple(screen.buffer[0][screen.cursor.x - 1])


@given(sgr(), sgr())
def test_a_change_draws_as_the_pen_does_from_a_reset_one(one: str, two: str) -> None:
    sequence, pen = change(parse_pen(one), parse_pen(two))
    assert cell(f"\x1b[{one}mA{sequence}B") == cell(f"\x1b[0m\x1b[{two}mB")
    assert pen is parse_pen(two)


@given(sgr(), sgr())
def test_a_change_is_never_longer_than_starting_afresh(one: str, two: str) -> None:
    assert len(change(parse_pen(one), parse_pen(two))[0]) <= len(f"\x1b[0;{two}m")


@given(sgr(), sgr())
def test_a_space_shows_the_background_and_whatever_else_shows_on_it(one: str, two: str) -> None:
    sequence, _ = change(parse_pen(one), parse_pen(two).blank)
    found = pyte_space(f"\x1b[{one}mA{sequence} ")
    assert found == pyte_space(f"\x1b[0m\x1b[{two}m ")


def pyte_space(text: str) -> tuple[object, ...]:
    screen = pyte.Screen(4, 1)
    pyte.Stream(screen).feed(text)
    space = screen.buffer[0][screen.cursor.x - 1]
    shows = space.underscore or space.strikethrough or space.reverse
    return (*shows_of(space), *((space.fg,) if shows else ()))


def shows_of(space: pyte.screens.Char) -> tuple[object, ...]:
    return space.data, space.bg, space.underscore, space.strikethrough, space.reverse


def test_a_space_of_the_same_background_costs_nothing() -> None:
    red, green = parse_pen("31;48;5;1"), parse_pen("1;32;48;5;1")
    assert change(red, green.blank) == ("", red)


@pytest.mark.parametrize("bad", ["38;2;1;2", "38;9;1", "77", "x", "48"])
def test_parameters_that_are_no_pen_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_pen(bad)


def test_default_colours_are_the_default_pen() -> None:
    assert parse_pen("39;49") is DEFAULT_PEN
