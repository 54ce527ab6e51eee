"""Files of records that grow at their end: what is new of one, a piece at a time.

A file is known again by its first bytes and by the last ones that were read, not by its inode:
a copy put in its place (rsync, an atomic rename) goes on where the old one ended, and a file that
was made shorter for a moment is waited for. Other bytes there, and it has begun anew.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from llmtop.formats.base import Item

PIECE_BYTES = 1 << 18
"""Read at once: some thousand records, 10 to 40 ms of work between two looks at the clock."""
MARK_BYTES = 256
"""Remembered of the beginning and of the end of what was read; holds the time or the name that
every record format writes first."""


class Resumable(ABC):
    """A FileReader whose `read` can be left between two items and goes on there."""

    def __init__(self) -> None:
        self._waiting: Iterator[Item] = iter(())

    @abstractmethod
    def more(self) -> Iterable[Item] | None:
        """Return the items of the next piece, None when nothing is new for now."""

    def read(self) -> Iterator[Item]:
        """Yield what is new since the last call; see FileReader."""
        while True:
            yield from _kept(self._waiting)
            found = self.more()
            if found is None:
                return
            self._waiting = iter(found)


def _kept(items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items` without closing them when the caller leaves."""
    # "yield from items" would close them: what was not yielded yet would be lost.
    for item in items:  # noqa: UP028
        yield item


class Growing:
    """The bytes of a file, in order, as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        """Bytes handed out or skipped so far."""
        self._seen: tuple[int, int, int] | None = None
        self._head = b""
        self._tail = b""
        self._tail_at = 0

    def next(self) -> tuple[bool, bytes]:
        """Return whether the file began anew, and the next bytes (b"" for none).

        Raises:
            OSError: the file cannot be read.
        """
        status = os.stat(self.path)
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen == self._seen and self.offset >= status.st_size:
            return False, b""
        with open(self.path, "rb", buffering=0) as file:
            anew = not self._is_known(file)
            if anew:
                self.offset, self._head, self._tail = 0, b"", b""
            file.seek(self.offset)
            piece = file.read(PIECE_BYTES)
        self._seen = seen
        self._remember(piece)
        return anew, piece

    def skip(self, count: int) -> None:
        """Pass over the next `count` bytes without reading them."""
        self.offset += count

    def _is_known(self, file: FileIO) -> bool:
        """Return whether what the file has of the remembered bytes is the same."""
        head = file.read(len(self._head))
        file.seek(self._tail_at)
        tail = file.read(len(self._tail))
        return self._head.startswith(head) and self._tail.startswith(tail)

    def _remember(self, piece: bytes) -> None:
        if not piece:
            return
        if self.offset == len(self._head) < MARK_BYTES:
            self._head += piece[: MARK_BYTES - len(self._head)]
        self.offset += len(piece)
        self._tail = piece[-MARK_BYTES:]
        self._tail_at = self.offset - len(self._tail)
