"""Points as columns, and the index arithmetic of arrays that lie end to end in one array."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.store.arena import F8, I8


class Points(NamedTuple):
    """n points; where they belong to several series, those of one series are together."""

    time: F8
    """Shape (n,): unix seconds."""
    step: I8
    """Shape (n,): -1 = none."""
    value: F8
    """Shape (n,)."""

    def pick(self, at: NDArray[Any] | slice) -> Points:
        """Return the points at an index, a mask or a slice."""
        return Points(self.time[at], self.step[at], self.value[at])


def joined(parts: list[Points]) -> Points:
    """Return points end to end."""
    if len(parts) == 1:
        return parts[0]
    return Points(
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.step for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def starts_of(counts: I8) -> I8:
    """Return where each of several pieces of `counts` elements, laid end to end, begins."""
    starts: I8 = np.cumsum(counts) - counts
    return starts


def changes(x: I8) -> I8:
    """Return where each stretch of equal values of `x` begins; the first at 0."""
    begins = np.empty(len(x), dtype=np.bool_)
    begins[:1] = True
    np.not_equal(x[1:], x[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def ranges(first: I8, counts: I8) -> I8:
    """Return first[0], first[0] + 1, ... (counts[0] of them), then those of first[1], ..."""
    total = int(counts.sum())
    flat: I8 = np.arange(total) + np.repeat(first - starts_of(counts), counts)
    return flat
