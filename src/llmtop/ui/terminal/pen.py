"""What colours and attributes the terminal writes with, and the shortest change of them."""

from __future__ import annotations

from functools import lru_cache

PEN_CACHE = 4096
"""Pens and changes between pens kept: a full 200x50 screen of charts and tables uses about 60 pens
and 400 pairs; ten times that leaves room for themes tried one after the other."""

SHOWN_ON_SPACE = frozenset({"4", "7", "9", "21", "51", "52", "53"})
"""SGR attributes a space shows: underlines, reverse, strike-through, frames, overline."""

_OFF = {
    "1": "22",
    "2": "22",
    "3": "23",
    "4": "24",
    "5": "25",
    "6": "25",
    "7": "27",
    "8": "28",
    "9": "29",
    "21": "24",
    "51": "54",
    "52": "54",
    "53": "55",
}


class Pen:
    """One combination of attributes, foreground and background; equal pens are one object.

    `foreground` and `background` are SGR parameters ("38;2;1;2;3"), empty for the default.
    `blank` is the pen a space is drawn with: where no attribute shows on a space, every pen of
    one background shares one blank pen, so a space never costs a change of foreground.
    """

    __slots__ = ("attributes", "background", "blank", "foreground", "only_spaces")

    def __init__(
        self, attributes: frozenset[str], foreground: str, background: str, only_spaces: bool
    ) -> None:
        self.attributes = attributes
        self.foreground = foreground
        self.background = background
        self.only_spaces = only_spaces
        if only_spaces or attributes & SHOWN_ON_SPACE:
            self.blank = self
        else:
            self.blank = _pen(frozenset(), "", background, True)

    def __repr__(self) -> str:
        return f"Pen({sorted(self.attributes)}, {self.foreground!r}, {self.background!r})"


@lru_cache(maxsize=PEN_CACHE)
def _pen(
    attributes: frozenset[str], foreground: str, background: str, only_spaces: bool = False
) -> Pen:
    return Pen(attributes, foreground, background, only_spaces)


@lru_cache(maxsize=PEN_CACHE)
def parse_pen(sgr: str) -> Pen:
    """Return the pen that the SGR parameters `sgr` ("1;38;2;1;2;3") select from a reset one.

    Raises:
        ValueError: A parameter that is neither an attribute nor a colour.
    """
    attributes: set[str] = set()
    foreground = background = ""
    codes = iter(sgr.split(";") if sgr else ())
    for code in codes:
        if code in _OFF:
            attributes.add(code)
        elif code in ("38", "48"):
            kind = next(codes, "")
            count = {"2": 3, "5": 1}.get(kind, 0)
            rest = [next(codes, "") for _ in range(count)]
            if not count or "" in rest:
                raise ValueError(f"not a colour: {sgr!r}")
            colour = ";".join((code, kind, *rest))
            if code == "38":
                foreground = colour
            else:
                background = colour
        elif code in ("39", "49"):
            continue
        elif code.isdecimal() and (30 <= int(code) <= 37 or 90 <= int(code) <= 97):
            foreground = code
        elif code.isdecimal() and (40 <= int(code) <= 47 or 100 <= int(code) <= 107):
            background = code
        else:
            raise ValueError(f"not an attribute or colour: {sgr!r}")
    return _pen(frozenset(attributes), foreground, background)


DEFAULT_PEN = parse_pen("")
"""The pen after a reset."""


@lru_cache(maxsize=PEN_CACHE)
def change(current: Pen, wanted: Pen) -> tuple[str, Pen]:
    """Return the shortest escape sequence that makes `current` draw like `wanted`.

    Also returns the pen the terminal then holds, which for a blank pen may keep a foreground
    that a space does not show.
    """
    if wanted.only_spaces and not current.attributes & SHOWN_ON_SPACE:
        if current.background == wanted.background:
            return "", current
        background = wanted.background or "49"
        return f"\x1b[{background}m", _pen(
            current.attributes, current.foreground, wanted.background
        )
    if (
        current.attributes == wanted.attributes
        and current.foreground == wanted.foreground
        and current.background == wanted.background
    ):
        return "", current
    afresh = _parameters(wanted.attributes, wanted.foreground, wanted.background)
    afresh = f"0;{afresh}" if afresh else ""
    sequence = min((_difference(current, wanted), afresh), key=len)
    return f"\x1b[{sequence}m", _pen(wanted.attributes, wanted.foreground, wanted.background)


def _parameters(attributes: frozenset[str], foreground: str, background: str) -> str:
    return ";".join((*sorted(attributes), *filter(None, (foreground, background))))


def _difference(current: Pen, wanted: Pen) -> str:
    """Return the parameters that turn off what is too much and on what is missing."""
    off = {_OFF[code] for code in current.attributes - wanted.attributes}
    kept = {code for code in current.attributes if _OFF[code] not in off}
    codes = [*sorted(off), *sorted(wanted.attributes - kept)]
    if current.foreground != wanted.foreground:
        codes.append(wanted.foreground or "39")
    if current.background != wanted.background:
        codes.append(wanted.background or "49")
    return ";".join(codes)
