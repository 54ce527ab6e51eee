"""From a source's own series keys to the store's series ids, a batch at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import I8

MAX_DENSE_KEY = 1 << 20
"""Keys below are looked up in an array (4 MiB at most a source); sources count from 0."""
MAX_SPARSE_KEYS = 1 << 16
"""Larger keys remembered a source: as many as there can be series."""
UNKNOWN = -1


class KeyMap:
    """The keys of one source."""

    def __init__(self) -> None:
        self._dense = np.full(64, UNKNOWN, dtype=np.int32)
        self._sparse: dict[int, int] = {}

    def set(self, key: int, series: int) -> None:
        """Let `key` mean `series`; a large key beyond MAX_SPARSE_KEYS of them stays unknown."""
        if key >= MAX_DENSE_KEY:
            if key in self._sparse or len(self._sparse) < MAX_SPARSE_KEYS:
                self._sparse[key] = series
            return
        if key >= len(self._dense):
            longer = np.full(min(2 * key + 1, MAX_DENSE_KEY), UNKNOWN, dtype=np.int32)
            longer[: len(self._dense)] = self._dense
            self._dense = longer
        self._dense[key] = series

    def get(self, key: int) -> int:
        """Return the series of `key`, UNKNOWN if there is none."""
        if key < len(self._dense):
            return int(self._dense[key])
        return self._sparse.get(key, UNKNOWN)

    def look_up(self, keys: NDArray[np.uint32]) -> I8:
        """Return the series of each key, UNKNOWN where there is none."""
        if keys.max(initial=0) < len(self._dense):
            return self._dense[keys].astype(np.int64)
        unique, place = np.unique(keys, return_inverse=True)
        found = [
            int(self._dense[key]) if key < len(self._dense) else self._sparse.get(key, UNKNOWN)
            for key in unique.tolist()
        ]
        return np.array(found, dtype=np.int64)[place.ravel()]

    def replace(self, old: int, new: int) -> None:
        """Let every key that means series `old` mean `new`."""
        self._dense[self._dense == old] = new
        for key, series in self._sparse.items():
            if series == old:
                self._sparse[key] = new
