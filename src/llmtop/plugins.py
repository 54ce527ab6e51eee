"""What other packages add through entry points; a broken one is a message, never a crash."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

FORMATS = "llmtop.formats"
"""Group of entry points that name a LineFormat, a FileFormat or a tuple of them."""


def load(group: str) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return (name, object) of every entry point of a group, and what went wrong with others."""
    found: list[tuple[str, Any]] = []
    problems: list[str] = []
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            found.append((entry.name, entry.load()))
        except Exception as error:  # somebody else's code, which may fail as it likes
            reason = f"{type(error).__name__}: {error}"
            problems.append(f"plugin {entry.name!r} of {group} was left out: {reason}")
    return found, problems
