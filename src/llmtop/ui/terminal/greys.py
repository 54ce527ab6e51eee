"""256 colours: dark neutrals become greys, not navy.

The 6x6x6 cube has one step between black and #5f5f5f, so the nearest cube colour of a bluish
dark grey is a pure dark blue. The grey ramp 232-255 has 24 steps and is what the eye expects.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColor
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

NEUTRAL_CHROMA = 48
"""Largest difference between the channels of a colour that still reads as a grey: the themes'
neutrals differ by 10 to 40, their weakest series colour by more than 60."""
STYLE_CACHE = 4096
"""Styles remembered; a screen uses about a hundred."""


@lru_cache(maxsize=STYLE_CACHE)
def grey(colour: RichColor) -> RichColor:
    """Return `colour`, or its nearest of the greys 232-255 where it is truecolour and neutral."""
    triplet = colour.triplet
    if colour.type is not ColorType.TRUECOLOR or triplet is None:
        return colour
    if max(triplet) - min(triplet) > NEUTRAL_CHROMA:
        return colour
    lightness = 0.2126 * triplet.red + 0.7152 * triplet.green + 0.0722 * triplet.blue
    # Grey 232 + k is 8 + 10 k; above the last one white (231) is nearer.
    step = round((lightness - 8) / 10)
    number = 231 if step > 24 else 232 + min(max(step, 0), 23)
    return RichColor(colour.name, ColorType.EIGHT_BIT, number=number)


@lru_cache(maxsize=STYLE_CACHE)
def _grey_style(style: Style) -> Style:
    foreground, background = style.color, style.bgcolor
    return style + Style(
        color=None if foreground is None else grey(foreground),
        bgcolor=None if background is None else grey(background),
    )


class GreyNeutrals(LineFilter):
    """Maps neutral colours to the grey ramp before Textual looks for the nearest of 256."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with their neutral colours as greys."""
        return [
            Segment(text, None if style is None else _grey_style(style), control)
            for text, style, control in segments
        ]
