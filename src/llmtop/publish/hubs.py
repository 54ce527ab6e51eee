"""Which monitors there are: live sockets in the rendezvous directory. Dead ones are unlinked.

_socket is what `socket` wraps; that would cost a tenth of the time to import this package.
"""

from __future__ import annotations

import _socket
import os
import stat
import time

from llmtop.errors import SourceError
from llmtop.publish.rendezvous import checked_name

MAX_HUBS = 16
"""Monitors a process serves at once; each costs a connection and a place in every run."""
REFUSALS = 2
"""Scans that must find a socket dead before it is unlinked."""
YOUNG_SECONDS = 2.0
"""A socket younger than this may be between bind and listen, when it refuses too."""


def probe(path: str) -> str:
    """Return "live", "dead", or "unknown" when the question could not be asked."""
    try:
        asked = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    except OSError:
        return "unknown"
    try:
        asked.setblocking(False)
        asked.connect(path)
    except BlockingIOError:
        return "live"  # Its queue is full: it is stopped, and may go on.
    except ConnectionRefusedError:
        return "dead"
    except OSError:
        return "unknown"
    finally:
        asked.close()
    return "live"


class Hubs:
    """The monitors of this user on this machine."""

    def __init__(self) -> None:
        self._live: set[str] = set()
        self._refusals: dict[str, int] = {}

    def scan(self, suspects: frozenset[str]) -> frozenset[str]:
        """Return the paths of live sockets; known ones are asked only if in `suspects`."""
        try:
            directory = checked_name(create=False)
            names = sorted(os.listdir(directory))
        except (SourceError, OSError, ValueError):
            return frozenset(self._live)
        found = [
            f"{directory}/{name}"
            for name in names if name.startswith("mon-") and name.endswith(".sock")
        ]  # fmt: skip
        self._live &= set(found)
        self._refusals = {path: n for path, n in self._refusals.items() if path in found}
        for path in found:
            if path not in self._live or path in suspects:
                self._ask(path)
        return frozenset(self._live)

    def _ask(self, path: str) -> None:
        answer = probe(path)
        if answer == "live" and len(self._live) < MAX_HUBS:
            self._live.add(path)
        elif answer == "dead":
            self._live.discard(path)
            self._refusals[path] = self._refusals.get(path, 0) + 1
            if self._refusals[path] >= REFUSALS:
                _unlink_old(path)


def _unlink_old(path: str) -> None:
    try:
        found = os.lstat(path)
        # A file that is no socket refuses too, and is somebody's.
        if stat.S_ISSOCK(found.st_mode) and time.time() - found.st_mtime > YOUNG_SECONDS:
            os.unlink(path)
    except OSError:
        return
