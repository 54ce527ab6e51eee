"""`llmtop runs`, `llmtop open RUN` and `llmtop rm RUN...`: what is kept on disk."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmtop.cli.kept import folder
from llmtop.cli.say import say
from llmtop.errors import UsageError

if TYPE_CHECKING:
    from llmtop.keep.listing import Listed
    from llmtop.sources import Source

EXIT_PARTLY = 1
HEAD = ("run", "id", "state", "started", "lasted", "steps", "loss", "size", "host")
UNCUT = 100_000
"""Cells of a line that goes to another program."""


def run_list(words: Sequence[str], options: argparse.Namespace) -> int:
    """Print the kept runs and return 0; 1 if some could not be read.

    Raises:
        UsageError: there are more words.
        ConfigError: the folder cannot be read.
    """
    from llmtop.keep.listing import list_runs

    where = folder(options)
    if words:
        raise UsageError(f"runs takes no argument, got {words[0]!r}; "
                         f"to watch the folder: llmtop runs/ {' '.join(words)}")
    runs = list_runs(where)
    good = [one for one in runs if not one.error]
    if options.json:
        text = json.dumps([_document(one) for one in good], indent=2)
    else:
        text = "\n".join(_lines(good)) or f"no runs are kept in {where}"
    print(text)  # noqa: T201
    for one in runs:
        if one.error:
            say(one.error)
    return EXIT_PARTLY if len(good) < len(runs) else 0


def open_run(words: Sequence[str], options: argparse.Namespace) -> list[Source]:
    """Return the source of the run that is to be shown.

    Raises:
        UsageError: there is no such run, or it is not told which.
        ConfigError: the folder cannot be read.
    """
    from llmtop.clock import SystemClock
    from llmtop.keep.listing import find_run, list_runs
    from llmtop.keep.source import Kept

    if len(words) != 1:
        raise UsageError("open: name one run, as llmtop runs lists it")
    found = find_run(list_runs(folder(options)), words[0])
    return [Kept(found.path, found.name or found.id, clock=SystemClock())]


def run_remove(words: Sequence[str], options: argparse.Namespace) -> int:
    """Delete kept runs and return 0; 1 if one could not be.

    Raises:
        UsageError: there is no such run, or none is named; nothing was deleted.
        ConfigError: the folder cannot be read.
    """
    from llmtop.keep.folder import Locks, remove
    from llmtop.keep.listing import find_run, list_runs

    if not words:
        raise UsageError("rm: name the runs to delete, as llmtop runs lists them")
    where = folder(options)
    runs = list_runs(where)
    found = {one.id: one for one in (find_run(runs, word) for word in words)}
    locks, failed = Locks(where), False
    for one in found.values():
        if not locks.take(one.id):
            failed = True
            say(f"{one.name or one.id}: it is being written; end the llmtop that keeps it first")
            continue
        try:
            remove(one.path)
        except OSError as error:
            failed = True
            say(f"{one.path}: {(error.strerror or str(error)).lower()}")
        finally:
            locks.give(one.id)
    locks.close()
    return EXIT_PARTLY if failed else 0


def _document(one: Listed) -> dict[str, Any]:
    return {
        "id": one.id, "name": one.name, "host": one.host, "phase": one.phase, "state": one.state,
        "reason": one.reason, "started": one.started or None, "seen": one.seen or None,
        "seconds": _lasted(one), "step": one.steps, "attempts": one.attempts, "ranks": one.ranks,
        "loss": one.loss, "bytes": one.bytes, "path": str(one.path),
    }  # fmt: skip


def _lines(runs: Sequence[Listed]) -> list[str]:
    from llmtop.text.table import table
    from llmtop.units import format_bytes, format_duration, format_number

    if not runs:
        return []
    rows = [
        (one.name, one.id, one.state, _moment(one.started), format_duration(_lasted(one)),
         "--" if one.steps is None else str(one.steps), format_number(one.loss),
         format_bytes(one.bytes), one.host)
        for one in runs
    ]  # fmt: skip
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNCUT
    return table([HEAD, *rows], width)


def _lasted(one: Listed) -> float | None:
    return max(one.seen - one.started, 0.0) if one.started and one.seen else None


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M}" if at else "--"
