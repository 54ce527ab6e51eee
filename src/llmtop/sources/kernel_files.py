"""Small files in which the kernel tells of itself: read within bounds, missing where it does not.

Parsers take text and return None, or leave out, what is not as the kernel documents it.
"""

from __future__ import annotations

import re
from pathlib import Path

MAX_BYTES = 1 << 16
"""The largest read here are memory.stat (2 kB) and /proc/<pid>/cmdline."""

_WHOLE = re.compile("-?[0-9]{1,24}")


def read(path: Path | str) -> str:
    """Return a file's beginning, "" where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def integer(text: str) -> int | None:
    """Return a text that is one whole number, else None."""
    word = text.strip()
    return int(word) if _WHOLE.fullmatch(word) else None


def table(text: str) -> dict[str, int]:
    """Return lines of a name and a whole number, as in memory.stat and cpu.stat."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        value = integer(rest)
        if value is not None:
            found[name] = value
    return found


def pressure(text: str) -> float | None:
    """Return the share of the last ten seconds in which some task waited, of a PSI file."""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind != "some":
            continue
        for word in rest.split():
            name, _, value = word.partition("=")
            if name == "avg10":
                try:
                    share = float(value) / 100
                except ValueError:
                    return None
                return share if 0 <= share <= 1 else None
    return None
