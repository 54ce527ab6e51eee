"""What can go wrong, said in one line.

Every error a person can cause is a `LlmtopError`: its text names the file, line or key at fault
and, where there is one, the nearest right thing. The command line prints it and exits with 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LIKENESS = 0.65
"""How alike (difflib's ratio) a word must be to be meant: 'tset' and 'test' are 0.75; at 0.5
'--bogus' (0.57) was taken for '--rules'."""


class LlmtopError(Exception):
    """A mistake a person can fix; its text is one line meant for them."""


class UsageError(LlmtopError):
    """A command-line argument that cannot be used."""


class ConfigError(LlmtopError):
    """A config or theme file that cannot be used; the text names file and key."""


class WireError(LlmtopError):
    """A frame that is not of the protocol."""


class SourceError(LlmtopError):
    """A source that cannot be opened or was lost."""


def printable(text: str) -> str:
    """Return `text` in one line, without what a terminal would obey instead of showing it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " for c in text if c.isprintable() or c.isspace())


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the known word closest to `word`, else ""."""
    found = get_close_matches(word, list(known), n=1, cutoff=LIKENESS)
    return f", did you mean {found[0]!r}?" if found else ""
