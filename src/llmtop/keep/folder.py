"""Where kept runs are, who may read them, and who writes which."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

from llmtop.errors import ConfigError
from llmtop.rules.saved import state_path

SUFFIX = ".run"
ID = re.compile("[0-9a-f]{8}")
LOCK = "lock"
"""One byte of this file is locked for each run that is being written: a process that is killed
holds no lock any more, and nothing of it is left lying about."""


def runs_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where runs are kept: $XDG_STATE_HOME/llmtop/runs."""
    return state_path(environ).with_name("runs")


def make(folder: Path) -> None:
    """Make the folder if it is missing, for this user alone.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def paths(folder: Path) -> list[Path]:
    """Return the file of each run.

    Raises:
        ConfigError: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{folder}: {(error.strerror or str(error)).lower()}") from None
    found = (folder / name for name in sorted(names) if name.endswith(SUFFIX))
    return [path for path in found if ID.fullmatch(path.stem)]


def new_id(key: str) -> str:
    """Return the id of the run whose first session has this key."""
    return blake2b(key.encode(), digest_size=4).hexdigest()


def remove(path: Path) -> None:
    """Remove a run's file and what SQLite keeps beside it.

    Raises:
        OSError: it cannot be removed.
    """
    path.unlink()
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)


class Locks:
    """Who writes which run of a folder: one process each."""

    def __init__(self, folder: Path) -> None:
        """Open the file of locks.

        Raises:
            OSError: it cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(folder / LOCK, flags, 0o600)

    def take(self, run: str) -> bool:
        """Lock the run of an id; False if another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(run, 16))
        except OSError:
            return False
        return True

    def give(self, run: str) -> None:
        """Unlock a run."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, int(run, 16))

    def close(self) -> None:
        """Unlock all."""
        os.close(self._file)


def busy(folder: Path, ids: list[str]) -> set[str]:
    """Return which runs another process is writing."""
    try:
        locks = Locks(folder)
    except OSError:
        return set()
    try:
        taken = set()
        for run in ids:
            if locks.take(run):
                locks.give(run)
            else:
                taken.add(run)
        return taken
    finally:
        locks.close()
