"""Which runs go when there are too many or they are too old: those not written for longest."""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from llmtop.keep import folder as folders
from llmtop.keep.limits import Limits

MAX_RUNS = 2000
"""A list of them takes half a second to make."""


def size_and_age(path: Path) -> tuple[int, float]:
    """Return the bytes of a run on disk and when it was written, with what lies beside it."""
    total, changed = 0, 0.0
    for tail in ("", "-wal"):
        with suppress(OSError):
            about = path.with_name(path.name + tail).stat()
            total, changed = total + about.st_size, max(changed, about.st_mtime)
    return total, changed


def make_room(
    folder: Path, limits: Limits, locks: folders.Locks, mine: Container[str], now: float
) -> None:
    """Remove the runs beyond the limits, oldest first, but none that is being written.

    Args:
        folder: Where they are.
        limits: How much may stay.
        locks: Who writes what.
        mine: Ids of those that this process writes.
        now: Unix seconds.

    Raises:
        ConfigError: the folder cannot be read.
        OSError: a file cannot be removed.
    """
    found = [(*size_and_age(path), path) for path in folders.paths(folder)]
    total = sum(size for size, _, _ in found)
    found.sort(key=lambda one: one[1])
    for newer, (size, changed, path) in zip(range(len(found), 0, -1), found, strict=True):
        if total <= limits.size and now - changed <= limits.age and newer <= MAX_RUNS:
            continue
        if path.stem in mine or not locks.take(path.stem):
            continue
        try:
            folders.remove(path)
            total -= size
        finally:
            locks.give(path.stem)
