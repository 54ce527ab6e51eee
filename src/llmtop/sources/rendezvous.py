"""The hub's side of the rendezvous directory: a socket path of its own, dead sockets swept."""

from __future__ import annotations

import os
import secrets
import socket
import stat
from pathlib import Path

from llmtop.clock import Clock
from llmtop.errors import SourceError

PATTERN = "mon-*.sock"
MAX_PATH_BYTES = 103
"""What fits sun_path everywhere: 104 bytes with the final zero on macOS, 108 on Linux."""
NEWBORN_SECONDS = 5.0
"""A socket this young may be bound but not listening yet, and so refuse without being dead."""
MAX_SWEPT = 1024
"""Sockets looked at in one sweep: far more monitors than a person starts."""


def new_socket_path(directory: Path) -> Path:
    """Return a path no hub ever had.

    Raises:
        SourceError: the directory's name is too long for a socket.
    """
    path = directory / f"mon-{os.getpid()}-{secrets.token_hex(4)}.sock"
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise SourceError(f"{path} is too long for a socket: set LLMTOP_DIR to a shorter directory")
    return path


def sweep(directory: Path, clock: Clock) -> int:
    """Unlink the sockets that refuse a connection, their hubs being dead; return how many."""
    gone = 0
    for path in sorted(directory.glob(PATTERN))[:MAX_SWEPT]:
        try:
            found = path.lstat()
            young = clock.time() - found.st_mtime < NEWBORN_SECONDS
            if stat.S_ISSOCK(found.st_mode) and not young and _refuses(path):
                path.unlink()
                gone += 1
        except OSError:
            continue
    return gone


def _refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
