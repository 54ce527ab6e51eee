"""Waiting for files to change: the system says so where it can, else they are looked at.

inotify and its kin do not see what another machine writes to a network file system, nor most of
FUSE. There, and where a change was missed, files are only looked at, every POLL_SECONDS.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

POLL_SECONDS = 1.0
"""How often files are looked at where the system does not tell of changes."""
SWEEP_SECONDS = 5.0
"""How often they are looked at where it does: a change found then was missed."""
LEAST_SECONDS = 0.1
"""Between two looks at most so often, however busily a log is written."""
MAX_DIRECTORIES = 512
"""Watched by the system; Linux gives a user 8192 watches by default, for all programs."""
LOOK_SECONDS = 0.2
"""How often a wait looks whether it is to end."""
REMOTE = frozenset((
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb", "smb2", "smb3", "smbfs", "9p",
    "afs", "ceph", "glusterfs", "pvfs2", "wekafs", "panfs", "orangefs", "ocfs2", "gfs2",
    "vboxsf", "vmhgfs", "prl_fs", "drvfs", "virtiofs",
))  # fmt: skip
"""Types of file systems that other machines write to without this one being told."""
MOUNTS = Path("/proc/mounts")


def is_remote(kind: str) -> bool:
    """Tell whether the system cannot be trusted to tell of changes on such a file system."""
    return kind in REMOTE or kind == "fuse" or kind.startswith("fuse.")


def mount_type(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that holds `path`, "" where that is not known."""
    best, kind = "", ""
    target = os.path.realpath(path)
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        parts = line.split()
        if len(parts) < 3:
            continue
        point = parts[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, parts[2]
    return kind


class Watch:
    """Wakes a source when something in its directories changes."""

    def __init__(self, poll: float | None = None) -> None:
        """Watch; with `poll` only look, every so many seconds."""
        self._poll = poll
        self._changed = threading.Event()
        self._observer: BaseObserver | None = None
        self._watched: dict[Path, Any] = {}
        self._polled: set[Path] = set()

    @property
    def polling(self) -> bool:
        """Whether some directory is only looked at."""
        return self._poll is not None or bool(self._polled)

    def add(self, directories: Iterable[Path]) -> None:
        """Watch these directories too."""
        for directory in directories:
            if self._poll is not None or directory in self._watched or directory in self._polled:
                continue
            if len(self._watched) >= MAX_DIRECTORIES or is_remote(mount_type(directory)):
                self._polled.add(directory)
                continue
            try:
                self._watched[directory] = self._schedule(directory)
            except (OSError, ImportError, RuntimeError):
                self._polled.add(directory)

    def missed(self, directory: Path) -> None:
        """Note that a change was found here that the system did not tell of: look from now on."""
        watch = self._watched.pop(directory, None)
        if watch is not None and self._observer is not None:
            with suppress(KeyError, OSError):
                self._observer.unschedule(watch)
        if self._poll is None:
            self._polled.add(directory)

    def wait(self, stop: threading.Event, most: float = SWEEP_SECONDS) -> bool:
        """Wait for a change, the next look or `stop`, `most` seconds at most; True if told."""
        seconds = SWEEP_SECONDS if self._poll is None else self._poll
        if self._polled:
            seconds = min(seconds, POLL_SECONDS)
        left = min(seconds, most)
        told = False
        while left > 0 and not stop.is_set() and not told:
            told = self._changed.wait(min(left, LOOK_SECONDS))
            left -= LOOK_SECONDS
        if told:
            stop.wait(LEAST_SECONDS)
            self._changed.clear()
        return told

    def close(self) -> None:
        """Stop watching."""
        observer, self._observer = self._observer, None
        self._watched.clear()
        if observer is not None:
            with suppress(RuntimeError):
                observer.stop()
                observer.join(1.0)

    def _schedule(self, directory: Path) -> Any:
        from watchdog.observers import Observer

        if self._observer is None:
            # Its farewell when it is stopped would be printed over the screen.
            logging.getLogger("watchdog").addHandler(logging.NullHandler())
            self._observer = Observer()
            self._observer.daemon = True
            self._observer.start()
        waker: Any = _Waker(self._changed)
        return self._observer.schedule(waker, str(directory), recursive=False)


class _Waker:
    """Sets an event when something is written, made, moved or removed; reading does not count."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def dispatch(self, event: Any) -> None:
        """Take an event of watchdog."""
        if event.event_type in ("modified", "created", "moved", "deleted", "closed"):
            self._changed.set()
