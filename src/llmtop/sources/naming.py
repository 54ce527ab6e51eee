"""What the run of a log is called: after its file, or its folder where all have such a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

GENERIC = frozenset((
    "metrics", "metric", "train", "training", "trainer", "trainer_state", "trainer_log",
    "all_results", "train_results", "eval_results", "test_results", "events", "output", "out",
    "err", "stdout", "stderr", "log", "logs", "main", "console", "debug", "wandb-summary",
    "wandb-history", "history", "results", "run", "nohup", "rank0", "metrics_file", "progress",
))  # fmt: skip
"""Stems that every run's file has."""
GENERIC_FOLDERS = frozenset((
    "files", "logs", "log", "csv", "tb", "tensorboard", "output", "outputs", "tfevents",
))  # fmt: skip
"""Folders that every run has, so that the one above them names it."""
SUFFIXES = frozenset((
    ".log", ".txt", ".out", ".err", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".wandb",
    ".db", ".sqlite", ".v2", ".1", ".2", ".3",
))  # fmt: skip
"""Endings that say what a file is, not which."""
CHECKPOINT = re.compile(r"(?:checkpoint|global_step|step|iter)[-_]?(\d+)", re.IGNORECASE)
"""A folder of one checkpoint; the run is the folder above it."""
VERSION = re.compile(r"version_\d+")
"""Lightning's folder of one run: it needs the one above to mean something."""
EVENTS = re.compile(r"events\.out\.tfevents\.")


def names(path: Path) -> Iterator[str]:
    """Yield names for the run in `path`, from the shortest to ever longer ones."""
    path = path.absolute()
    stem = path.name
    while Path(stem).suffix.lower() in SUFFIXES and Path(stem).stem:
        stem = Path(stem).stem
    above = [part for part in reversed(path.parent.parts) if part.strip("/")]
    while above and (CHECKPOINT.fullmatch(above[0]) or above[0] in GENERIC_FOLDERS):
        above.pop(0)
    generic = stem.lower() in GENERIC or EVENTS.match(path.name)
    parts = [] if generic and above else [stem]
    if not parts:
        parts.append(above.pop(0))
        if VERSION.fullmatch(parts[0]) and above:
            parts.insert(0, above.pop(0))
    yield "/".join(parts)
    while above:
        parts.insert(0, above.pop(0))
        yield "/".join(parts)


class Names:
    """The names given out in one source, each once."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def for_path(self, path: Path, key: str) -> str:
        """Return a name of the run in `path` that no other key has."""
        name = path.name
        for name in names(path):
            if self._free(name, key):
                break
        return self.for_text(name, key)

    def for_text(self, wanted: str, key: str) -> str:
        """Return `wanted`, with a number if another key has that name."""
        name, number = wanted, 1
        while not self._free(name, key):
            number += 1
            name = f"{wanted} #{number}"
        self._taken[name] = key
        return name

    def _free(self, name: str, key: str) -> bool:
        return self._taken.get(name, key) == key
