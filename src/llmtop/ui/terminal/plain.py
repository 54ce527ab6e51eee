"""Whether the terminal takes Unicode, and the plain character that stands in where it does not."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping

_PAIRS = (
    ("─━╌╍┄┅┈┉╴╶╸╺═⎯‐‑‒–—", "-"),
    ("│┃┊┋┆┇╎╏║▏▎▍▕", "|"),
    ("╭╮╰╯┌┐└┘├┤┬┴┼╔╗╚╝╠╣╦╩╬┏┓┗┛┣┫┳┻╋", "+"),
    ("█▇▆▅▓▉▊▋▌▐▰■", "#"),
    ("▄▃▀▒▂▔▪", "="),
    ("▁", "_"),
    ("░▱·•∙…", "."),
    ("●◉◆", "*"),
    ("○◌◇◎", "o"),
    ("▲△▴↑", "^"),
    ("▼▽▾↓", "v"),
    ("▶▸►→", ">"),
    ("◀◂◄←", "<"),
    ("✓✔", "+"),
    ("✗✘×", "x"),
    ("‘’", "'"),
    ("“”", '"'),
    ("≈", "~"),
    ("¹", "1"),
    ("²", "2"),
    ("³", "3"),
    ("⁴", "4"),
    ("⁵", "5"),
    ("⁶", "6"),
    ("⁷", "7"),
    ("⁸", "8"),
    ("⁹", "9"),
    ("µμ", "u"),
    ("°", "o"),
    ("\u00a0", " "),
)


def _braille(dots: int) -> str:
    """Return a character about as dark as a braille pattern of these dots."""
    if not dots:
        return " "
    top, bottom = dots & 0b00011011, dots & 0b11100100
    if bin(dots).count("1") > 4:
        return "#"
    return "'" if not bottom else "." if not top else ":"


PLAIN: Mapping[int, str] = {
    **{0x2800 + dots: _braille(dots) for dots in range(256)},
    **{ord(char): plain for chars, plain in _PAIRS for char in chars},
}
"""For `str.translate`: one plain character for each that llmtop and Textual draw with."""


def plain_text(text: str) -> str:
    """Return `text` in ASCII, one character for one, "?" for those without a stand-in."""
    return text.translate(PLAIN).encode("ascii", "replace").decode("ascii")


def unicode_ok(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the locale's encoding is UTF-8, so that any character can be drawn.

    Without any locale Python itself chooses UTF-8 and says so in LC_CTYPE, as terminals do today.
    """
    names = (environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name))
    chosen = next(names, "")
    if not chosen:
        return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"
    return "utf8" in chosen.lower().replace("-", "")
