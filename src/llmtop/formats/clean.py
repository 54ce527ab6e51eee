"""Bytes of a log -> text: without colours, cursor movements and control characters."""

from __future__ import annotations

import re

ESCAPE = 0x1B
_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"
    rb"|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?"
    rb"|[ -/]+[0-~]"
    rb"|[0-Z\\^-~])"
)
"""A control sequence (colours, 24-bit ones too), an operating-system command or another string
(titles, links), a character-set choice, or a single-letter escape."""
_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code not in b"\t\n\r")

_OBEYED = re.compile("[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""C1 control characters, and those that turn the direction of a text around."""


def clean(data: bytes) -> str:
    """Return the text of whole lines, their ends kept; bytes that are not UTF-8 become U+FFFD."""
    if ESCAPE in data:
        data = _SEQUENCE.sub(b"", data)
    text = data.translate(None, _CONTROLS).decode("utf-8", "replace")
    return text if text.isascii() else _OBEYED.sub("", text)
