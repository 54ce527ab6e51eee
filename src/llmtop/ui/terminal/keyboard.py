"""What the terminal sends, made safe to decode.

Textual reads the keyboard as strict UTF-8. A terminal that has lost its modes (a tmux re-attach,
an ssh reconnect) sends mouse reports of the old kind, ESC [ M and three bytes, which right of
column 95 are no UTF-8: the app then dies (Textualize/textual#6668). Here such a report becomes
the modern one that Textual understands, and any other stray byte a replacement character.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from types import ModuleType

_OLD_REPORT = re.compile(rb"\x1b\[M([\x20-\xff])([\x21-\xff])([\x21-\xff])")
_UNFINISHED = re.compile(rb"\x1b\[M[\x20-\xff]{0,2}\Z")
_RELEASE = 3
_MOTION_OR_WHEEL = 32 | 64


class EndOfInputError(EOFError):
    """The terminal is gone: a read that was announced returned nothing."""


def _modern_report(match: re.Match[bytes]) -> bytes:
    buttons, x, y = (byte[0] - 32 for byte in match.groups())
    # The old report does not say which button was let go; the left one is the likely one.
    released = buttons & 3 == _RELEASE and not buttons & _MOTION_OR_WHEEL
    buttons = buttons & ~_RELEASE if released else buttons
    return b"\x1b[<%d;%d;%d%s" % (buttons, x, y, b"m" if released else b"M")


class TerminalDecoder:
    """Has the one method of an incremental UTF-8 decoder that Textual's input thread calls."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._held = b""
        """The start of an old mouse report whose end has not come yet: at most 5 bytes."""

    def decode(self, data: bytes, final: bool = False) -> str:
        """Return the text of `data`; never fails on what it holds.

        Raises:
            EndOfInputError: `data` is empty and this is not the final call.
        """
        if not data and not final:
            raise EndOfInputError("the terminal was closed")
        data = _OLD_REPORT.sub(_modern_report, self._held + data)
        unfinished = None if final else _UNFINISHED.search(data)
        self._held = unfinished.group() if unfinished else b""
        return self._decode(data[: len(data) - len(self._held)], final)


def guard_decoder(module: ModuleType) -> Callable[[], None] | None:
    """Make Textual's driver `module` decode with `TerminalDecoder`.

    Returns:
        A function that undoes it; None where the module no longer decodes the way it did.
    """
    name = "getincrementaldecoder"
    original = getattr(module, name, None)
    if original is not getincrementaldecoder:
        return None
    setattr(module, name, lambda encoding: TerminalDecoder)
    return lambda: setattr(module, name, original)
