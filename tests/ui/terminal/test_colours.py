from __future__ import annotations

import pytest
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor

from llmtop.ui.terminal.greys import GreyNeutrals, grey
from llmtop.ui.terminal.plain import PLAIN, plain_text, unicode_ok

INK_NEUTRALS = ["#0d1017", "#3a4456", "#252c39", "#1c222d", "#5d6880", "#b9c2d4", "#eef2fa"]
INK_COLOURS = ["#4fc1ff", "#ffc247", "#f35183", "#8b7cf8", "#b6f5c6", "#c07a35", "#4fd6a5"]


def test_neutrals_are_greys_in_their_order_of_lightness() -> None:
    numbers = [grey(Color.parse(name)).number or 0 for name in INK_NEUTRALS]
    assert all(231 <= number <= 255 for number in numbers)
    by_light = [numbers[index] for index in (0, 3, 2, 1, 4, 5, 6)]
    assert by_light[:-1] == sorted(set(by_light[:-1]))


@pytest.mark.parametrize("name", INK_COLOURS)
def test_colours_stay_colours(name: str) -> None:
    assert grey(Color.parse(name)) == Color.parse(name)


def test_the_filter_keeps_text_attributes_and_named_colours() -> None:
    segments = [
        Segment("a", Style(color="#5d6880", bgcolor="#0d1017", bold=True)),
        Segment("b", Style(color="red")),
        Segment("c"),
    ]
    done = GreyNeutrals().apply(segments, TextualColor(0, 0, 0))
    assert [segment.text for segment in done] == ["a", "b", "c"]
    style = done[0].style
    assert style is not None
    assert style.bold
    assert style.bgcolor is not None
    assert style.bgcolor.number == 233
    assert done[1].style == segments[1].style
    assert done[2].style is None


def test_every_stand_in_is_one_plain_character() -> None:
    assert all(len(plain) == 1 and plain.isascii() for plain in PLAIN.values())


def test_a_chart_in_plain_characters_keeps_its_place() -> None:
    text = "╭─ loss ╮ ⣿⠀⡀⠁ ▲ 世"
    assert plain_text(text) == "+- loss + # .' ^ ?"
    assert len(plain_text(text)) == len(text)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, False),
        ({"LC_CTYPE": "en_US.ISO-8859-1", "LANG": "en_US.UTF-8"}, False),
        ({"LC_ALL": "", "LANG": "C.UTF-8"}, True),
    ],
)
def test_the_locale_decides_about_unicode(environ: dict[str, str], expected: bool) -> None:
    assert unicode_ok(environ) is expected
