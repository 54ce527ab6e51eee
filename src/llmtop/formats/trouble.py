"""Errors and tracebacks in the text of a log: each becomes one note, its last line."""

from __future__ import annotations

import re
from typing import Final

from llmtop.formats.base import Note

TRACEBACK = "Traceback (most recent call last)"
MARKS: Final = (
    TRACEBACK, "Error", "out of memory", "FATAL", "Fatal", "Segmentation fault", "panic",
)
"""One of these is in every line that can begin something here."""
MAX_FRAMES = 400
"""Lines of a traceback after which it is none: deeper than Python's own folding prints."""
MAX_TEXT = 500
"""Characters of a note: what a person reads of an exception's message."""
_PLAIN = re.compile(
    r"(?:^|[\s:\]])(?:[A-Za-z_][\w.]*Error|torch\.\w*OutOfMemory\w*): \S"
    r"|CUDA out of memory|CUDA error:|NCCL error|\bSegmentation fault\b|^\s*panic: "
    r"|\b(?:FATAL|Fatal)\b[: ]"
)
_LAST = re.compile(r"\s*[A-Za-z_][\w.]*(?::|$)")


class Trouble:
    """Watches the lines that no format knows."""

    def __init__(self) -> None:
        self.inside = False
        """A traceback is open: every line counts now."""
        self._prefix = 0
        self._frames = 0
        self._said = ""

    def read(self, line: str) -> Note | None:
        """Return a note if the line says, or ends, an error."""
        if TRACEBACK in line:
            self.inside, self._frames = True, 0
            self._prefix = line.index(TRACEBACK)
            return None
        if self.inside:
            return self._within(line)
        return self._note(line) if _PLAIN.search(line) else None

    def _within(self, line: str) -> Note | None:
        """Read a line of an open traceback: it ends with the first one that is not indented."""
        self._frames += 1
        body = line[self._prefix :]
        if self._frames > MAX_FRAMES:
            self.inside = False
        elif body[:1] in ("", " ", "\t", "|", "+"):
            return None
        elif _LAST.match(body):
            self.inside = False
            return self._note(body)
        return None

    def _note(self, text: str) -> Note | None:
        """Return the note, None for one that was said just before: every rank says it."""
        text = text.strip()[:MAX_TEXT]
        if text == self._said:
            return None
        self._said = text
        return Note(text, "error")
