"""The runs there are, as a list shows them, and the one that somebody means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtop.errors import ConfigError, UsageError, nearest, printable
from llmtop.keep import folder as folders
from llmtop.keep.book import Book, readable
from llmtop.keep.entry import OVER
from llmtop.keep.reading import ending
from llmtop.keep.room import size_and_age
from llmtop.sources.introduce import seconds, whole

UNKNOWN = "unwatched"
"""The state of a run that went on when nobody wrote it any more, and may still."""
LEAST_PREFIX = 2
"""Characters of an id that stand for it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One kept run."""

    id: str
    path: Path
    bytes: int
    name: str = ""
    host: str = ""
    phase: str = ""
    state: str = UNKNOWN
    reason: str = ""
    started: float = 0.0
    """Unix seconds."""
    seen: float = 0.0
    """Unix seconds of the last that was heard of it."""
    steps: int | None = None
    attempts: int = 1
    ranks: int = 1
    loss: float | None = None
    error: str = ""
    """Why nothing is known of it, "" if something is."""


def list_runs(folder: Path) -> list[Listed]:
    """Return the runs of a folder, the one heard of last first.

    Raises:
        ConfigError: the folder cannot be read.
    """
    paths = folders.paths(folder)
    busy = folders.busy(folder, [path.stem for path in paths])
    found = [_listed(path, path.stem in busy) for path in paths]
    return sorted(found, key=lambda one: -one.started)


def _listed(path: Path, busy: bool) -> Listed:
    size, _ = size_and_age(path)
    try:
        book = Book(path, look=False)
        try:
            told = book.summary()
        finally:
            book.close()
        state = str(told.get("state"))
        if not busy and state not in OVER:
            state = _ended(path)
    except ConfigError as error:
        return Listed(path.stem, path, size, error=str(error))
    return _read(path, size, told, state)


def _read(path: Path, size: int, told: dict[str, Any], state: str) -> Listed:
    """Return what a summary tells, whatever was written into it."""
    text = {key: printable(str(told.get(key) or "")) for key in ("name", "host", "phase", "reason")}
    loss = told.get("loss")
    good = isinstance(loss, float) and math.isfinite(loss)
    return Listed(
        path.stem, path, size, state=printable(state), **text,
        started=seconds(told.get("started"), 0.0), seen=seconds(told.get("seen"), 0.0),
        steps=whole(told.get("step"), 0, 1 << 62), loss=loss if good else None,
        attempts=whole(told.get("attempts"), 1, 1 << 20) or 1,
        ranks=whole(told.get("ranks"), 1, 1 << 20) or 1,
    )


def _ended(path: Path) -> str:
    """Return what became of a run that nobody writes any more and that had not ended then."""
    book = Book(path)
    try:
        with readable(path):
            ends = [ending(known, 0.0) for known in book.sessions.values()]
    finally:
        book.close()
    return "died" if ends and None not in ends else UNKNOWN


def find_run(runs: Sequence[Listed], word: str) -> Listed:
    """Return the run of a name, or of an id that begins so.

    Raises:
        UsageError: there is none, or there are several.
    """
    named = [one for one in runs if one.name == word and not one.error]
    if not named and len(word) >= LEAST_PREFIX:
        named = [one for one in runs if one.id.startswith(word.lower())]
    if len(named) == 1:
        return named[0]
    shown = printable(word)
    if named:
        ids = ", ".join(one.id for one in named[:8])
        raise UsageError(f"{shown!r} stands for {len(named)} kept runs; name one by its id: {ids}")
    near = nearest(word, {one.name for one in runs if one.name})
    raise UsageError(f"no kept run {shown!r}{near}; llmtop runs lists them")
