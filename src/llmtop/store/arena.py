"""One reservation of memory, carved into blocks of 8-byte words.

Every raw ring and every bucket array of every series is a block of the same two views, so one
fancy index writes to all of them at once, whatever their sizes. The reservation is lazy: the
operating system hands out pages as blocks are first written.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

WORD_BYTES = 8
MIN_ARENA_BYTES = 1 << 20
"""Below a megabyte there is no room for even a hundred series, so a refusal is the truth."""


class Arena:
    """Blocks of words, with free lists a size and merging of neighbours when space runs out."""

    def __init__(self, nbytes: int) -> None:
        """Reserve `nbytes`, or the largest half, quarter... that the system grants.

        Raises:
            MemoryError: not even MIN_ARENA_BYTES could be had.
        """
        self.real: F8 = _reserve(nbytes)
        """All words as float64."""
        self.whole: I8 = self.real.view(np.int64)
        """The same words as int64."""
        self.used = 0
        """Words in use."""
        self._free: dict[int, list[int]] = {}
        self._extents: list[tuple[int, int]] = [(0, len(self.real))]
        self._freed_since_merge = False

    @property
    def words(self) -> int:
        """Words there are."""
        return len(self.real)

    def take(self, size: int, count: int = 1) -> I8:
        """Return the offsets of up to `count` new blocks of `size` words; fewer when full."""
        found = self._reuse(size, count)
        if len(found) < count:
            found += self._carve(size, count - len(found))
        if len(found) < count and self._freed_since_merge:
            self._merge()
            found += self._carve(size, count - len(found))
        self.used += size * len(found)
        return np.array(found, dtype=np.int64)

    def give(self, size: int, offsets: I8) -> None:
        """Take blocks of `size` words back."""
        if len(offsets):
            self._free.setdefault(size, []).extend(offsets.tolist())
            self.used -= size * len(offsets)
            self._freed_since_merge = True

    def blocks(self, offsets: I8, size: int) -> I8:
        """Return copies of blocks of `size` words, shape (offsets, size)."""
        return sliding_window_view(self.whole, size)[offsets]

    def put(self, offsets: I8, blocks: I8) -> None:
        """Write blocks back, whole."""
        windows = sliding_window_view(self.whole, blocks.shape[1], writeable=True)
        windows[offsets] = blocks

    def _reuse(self, size: int, count: int) -> list[int]:
        free = self._free.get(size)
        if not free:
            return []
        cut = max(len(free) - count, 0)
        found = free[cut:]
        del free[cut:]
        return found

    def _carve(self, size: int, count: int) -> list[int]:
        found: list[int] = []
        left: list[tuple[int, int]] = []
        for place, (start, length) in enumerate(self._extents):
            blocks = min(length // size, count - len(found))
            found.extend(range(start, start + blocks * size, size))
            if length > blocks * size:
                left.append((start + blocks * size, length - blocks * size))
            if len(found) == count:
                left.extend(self._extents[place + 1 :])
                break
        self._extents = left
        return found

    def _merge(self) -> None:
        """Join free neighbours into extents, largest first, so that small blocks become large."""
        pieces = sorted(
            self._extents + [(at, size) for size, offsets in self._free.items() for at in offsets]
        )
        merged: list[tuple[int, int]] = []
        for start, length in pieces:
            if merged and merged[-1][0] + merged[-1][1] == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self._extents = sorted(merged, key=lambda extent: -extent[1])
        self._free.clear()
        self._freed_since_merge = False


def _reserve(nbytes: int) -> F8:
    """Return the words; a `ulimit -v` or strict overcommit may allow only a fraction of them."""
    while True:
        try:
            return np.empty(nbytes // WORD_BYTES, dtype=np.float64)
        except MemoryError:
            nbytes //= 2
            if nbytes < MIN_ARENA_BYTES:
                raise
