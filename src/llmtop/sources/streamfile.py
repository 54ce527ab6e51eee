"""A FIFO or a device that is followed: it has no past and is read as it comes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from llmtop.clock import Clock
from llmtop.sources.follow import SLICE_BYTES, reason_of
from llmtop.sources.textlog import TextLog


class StreamFile:
    """A FIFO or a device: read as it comes, without a past."""

    def __init__(self, path: Path, text: TextLog, clock: Clock) -> None:
        self.path, self.log, self.text, self.problem = path, text.log, text, ""
        self.size = self.offset = 0
        self.changed = self.opened = clock.time()
        self.ended = False
        """A device that has nothing more: /dev/null."""
        self._clock = clock
        self._fd = -1
        self._data = b""
        self._pipe = True

    def look(self) -> bool:
        """Return whether there is something new to read."""
        if self.ended:
            return False
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
            self._data = os.read(self._fd, SLICE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self.problem = reason_of(error)
            return False
        self.problem = ""
        self.ended = not self._data and not self._pipe
        return bool(self._data)

    def read(self) -> bool:
        """Read one slice; return whether there is more."""
        data, self._data = self._data, b""
        self.changed = self._clock.time()
        self.offset += len(data)
        self.size = self.offset
        self.text.feed(data, self.changed)
        return len(data) == SLICE_BYTES and self.look()

    def rest(self, now: float) -> None:
        """Say what can be said while nothing more comes."""
        quiet = now - self.changed
        self.text.rest(now, age=now - self.opened, quiet=quiet)

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
