"""Which marks occur in a text: asked for some hundred of them, of every text of every log.

Lines of a log differ in their numbers more than in their words. So what is searched is each line
once, and without digits; whoever is found there is looked for in every line anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

DIGITS = b"0123456789"


def squeeze(text: str) -> bytes:
    """Return the lines of `text` without digits and without repetitions, in any order."""
    bare = text.encode("utf-8", "surrogatepass").translate(None, DIGITS)
    return b"\n".join(set(bare.split(b"\n")))


def possible(marks: Iterable[str], squeezed: bytes) -> tuple[str, ...]:
    """Return the marks that may be in the text that was squeezed: all that are, and few others."""
    return tuple([mark for mark in marks if _bare(mark) in squeezed])


@lru_cache(maxsize=1024)
def _bare(mark: str) -> bytes:
    return mark.encode("utf-8", "surrogatepass").translate(None, DIGITS)
