"""What a run leaves behind for monitors that are started after it: its frames, in one small file.

It lies beside the sockets of the monitors; only the newest few are kept, and none for long.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from llmtop.errors import SourceError
from llmtop.publish.rendezvous import checked_name
from llmtop.publish.session import Session
from llmtop.wire import Kind, pack_json

PREFIX, SUFFIX = "past-", ".frames"
LENGTH_BYTES = 4
"""Before each frame, little-endian."""
MAX_FILES = 16
"""Runs kept: as many as a list on a screen shows."""
MAX_BYTES = 24 << 20
"""What they may take together: /tmp may be memory, and a monitor reads half a second at it."""
KEPT_SECONDS = 24 * 3600.0
"""How long one is kept: long enough for the next morning."""


def leave(session: Session, ending: dict[str, str]) -> None:
    """Write what `session` still has and how it ended; what goes wrong is nobody's concern."""
    if not session.ring.next:
        return
    with suppress(OSError, SourceError, ValueError):
        directory = checked_name()
        name = f"{directory}/{PREFIX}{os.getpid()}-{session.id:016x}{SUFFIX}"
        draft = f"{name}.draft"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(draft, flags, 0o600), "wb") as out:
                for frame in _frames(session, ending):
                    out.write(len(frame).to_bytes(LENGTH_BYTES, "little"))
                    out.write(frame)
            os.rename(draft, name)
        except BaseException:  # Whatever it is, no draft is left behind.
            os.unlink(draft)
            raise
        _make_room(directory)


def _frames(session: Session, ending: dict[str, str]) -> list[bytes]:
    """Return what a monitor would have been sent, to the BYE that says when the run ended."""
    ring = session.ring
    bye = {**ending, "t": time.time()}
    return [
        *session.opening(),
        *(ring.frame(seq) for seq in range(ring.first, ring.next)),
        pack_json(Kind.BYE, bye, session=session.id, seq=ring.next),
    ]


def _make_room(directory: str) -> None:
    """Unlink the oldest files that are too many, too large together, or too old."""
    found = []
    for name in os.listdir(directory):
        if name.startswith(PREFIX):
            with suppress(OSError):
                path = f"{directory}/{name}"
                about = os.lstat(path)
                found.append((about.st_mtime, about.st_size, path))
    total, oldest = 0, time.time() - KEPT_SECONDS
    for place, (changed, size, path) in enumerate(sorted(found, reverse=True)):
        total += size
        if place >= MAX_FILES or total > MAX_BYTES or changed < oldest:
            with suppress(OSError):
                os.unlink(path)
