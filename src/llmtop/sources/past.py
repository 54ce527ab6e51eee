"""Runs of this user that ended before this monitor was started: the frames they left behind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from llmtop.clock import Clock
from llmtop.publish.past import KEPT_SECONDS, LENGTH_BYTES, MAX_FILES, PREFIX, SUFFIX
from llmtop.sources.intake import Intake

NOBODY = b""
"""The identity of no connection."""
MAX_FILE_BYTES = 32 << 20
"""More than a replay ring, the shape of 4096 series and all events take."""


def past_runs(directory: Path, clock: Clock) -> Iterator[list[bytes]]:
    """Yield the frames of each run that ended of late, the oldest first.

    What cannot be read, is no regular file of this user or is cut off is left out.
    """
    found = []
    for path in directory.glob(f"{PREFIX}*{SUFFIX}"):
        try:
            about = path.lstat()
        except OSError:
            continue
        fits = stat.S_ISREG(about.st_mode) and about.st_size <= MAX_FILE_BYTES
        if fits and clock.time() - about.st_mtime < KEPT_SECONDS:
            found.append((about.st_mtime, path))
    for _, path in sorted(found)[-MAX_FILES:]:
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                data = file.read(MAX_FILE_BYTES)
        except OSError:
            continue
        frames = _split(data)
        if frames:
            yield frames


def take_in(intake: Intake, frames: list[bytes]) -> None:
    """Hand what a run left behind to `intake`: nobody is there to be answered or to be alive."""
    for frame in frames:
        intake.frame(NOBODY, frame)
    for session in intake.sessions.values():
        if session.identity == NOBODY:
            session.unreported, session.over = False, session.over or "ended"
    intake.answers.clear()


def _split(data: bytes) -> list[bytes]:
    """Return the frames of a file, none if it is not whole."""
    frames, at = [], 0
    while at < len(data):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data) or at == start:
            return []
        frames.append(data[start:at])
    return frames
