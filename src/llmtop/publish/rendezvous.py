"""The directory where monitors of this user bind their sockets: `/tmp/llmtop-$UID`.

Not $XDG_RUNTIME_DIR: it is deleted at the last logout, and unset under Slurm and cron.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from llmtop.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path


def directory_name() -> str:
    """Return the path that LLMTOP_DIR names, else the one of this user; nothing is looked at."""
    return os.environ.get("LLMTOP_DIR") or f"/tmp/llmtop-{os.getuid()}"


def checked_name(create: bool = True) -> str:
    """Return the path of the rendezvous directory, which only this user can look into.

    Args:
        create: Make it if it is missing.

    Raises:
        SourceError: it is missing, cannot be made, or others could reach what is in it.
    """
    name = directory_name()
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700)
        found = os.lstat(name)
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name}: not a directory (a link is not followed)")
    if found.st_uid != os.getuid():
        raise SourceError(f"{name}: belongs to uid {found.st_uid}, not to you")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise SourceError(f"{name}: open to others (mode {mode:o}); chmod 700 {name}")
    return name


def checked_dir(create: bool = True) -> Path:
    """Return `checked_name` as a Path, for whoever can afford to import pathlib.

    Raises:
        SourceError: it is missing, cannot be made, or others could reach what is in it.
    """
    from pathlib import Path

    return Path(checked_name(create))


def rendezvous_dir(create: bool = False) -> Path | None:
    """Return the rendezvous directory, None where there is none that can be trusted."""
    try:
        return checked_dir(create)
    except (SourceError, OSError, ValueError):
        return None
