"""Samples on their way from frames to one columnar batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import NO_STEP, Samples
from llmtop.sources.session import UNKNOWN, Session

RECORD_DTYPE = np.dtype([("sid", "<u4"), ("dt", "<u4"), ("step", "<i8"), ("value", "<f8")])
"""The wire's DATA record (24 bytes)."""


class Pending:
    """What came since the last `take`; whoever adds looks at `count` to bound it."""

    def __init__(self) -> None:
        self.count = 0
        """Samples waiting."""
        self.unknown = 0
        """Samples left out because no DEFS named their sid; the reader sets it back."""
        self._parts: list[Samples] = []
        self._begin()

    def _begin(self) -> None:
        """Begin with no payload; the lists hold one entry a DATA frame."""
        self._slots: dict[Session, int] = {}
        """The sessions that payloads came of, numbered."""
        self._owners: list[int] = []
        self._payloads: list[memoryview] = []
        self._counts: list[int] = []
        self._starts: list[float] = []

    def add(self, session: Session, payload: memoryview, count: int, t0: float) -> None:
        """Add the payload of a DATA frame."""
        slots = self._slots
        self._owners.append(slots.setdefault(session, len(slots)))
        self._payloads.append(payload)
        self._counts.append(count)
        self._starts.append(t0)
        self.count += count

    def add_row(
        self, session: Session, sids: Sequence[int], values: Sequence[float], time: float, step: int
    ) -> None:
        """Add values that were measured at one time and step."""
        count = len(sids)
        self._keep(
            session.keys(np.array(sids, dtype=np.uint32)), np.full(count, time),
            np.full(count, step, dtype=np.int64), np.array(values, dtype=np.float64),
            (session,),
        )  # fmt: skip
        self.count += count

    def settle(self) -> None:
        """Turn payloads into columns with the keys that sids have now."""
        if not self._payloads:
            return
        records = np.frombuffer(b"".join(self._payloads), RECORD_DTYPE)
        counts, owners = np.array(self._counts), np.array(self._owners)
        time = np.repeat(np.array(self._starts), counts)
        time += records["dt"] * 1e-6
        keys = _keys([*self._slots], owners, counts, records["sid"])
        self._keep(keys, time, records["step"].copy(), records["value"].copy(), self._slots)
        self._begin()

    def take(self) -> Samples | None:
        """Return all that waits, in order of arrival within each session; None if nothing."""
        self.settle()
        parts, self._parts, self.count = self._parts, [], 0
        if len(parts) < 2:
            return parts[0] if parts and len(parts[0]) else None
        return Samples(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.time for part in parts]),
            np.concatenate([part.step for part in parts]),
            np.concatenate([part.value for part in parts]),
        )

    def _keep(
        self, keys: NDArray[np.uint32], time: NDArray[np.float64], step: NDArray[np.int64],
        value: NDArray[np.float64], sessions: Iterable[Session],
    ) -> None:
        known = keys != UNKNOWN
        if not known.all():
            self.unknown += int(len(keys) - known.sum())
            keys, time, step, value = keys[known], time[known], step[known], value[known]
        for session in sessions:
            if session.overflow != UNKNOWN:
                # A point of the overflow series counts one sample of some name.
                folded = keys == session.overflow
                value[folded], step[folded] = 1.0, NO_STEP
        self._parts.append(Samples(keys, time, step, value))


def _keys(
    sessions: list[Session], owners: NDArray[np.intp], counts: NDArray[np.intp],
    sids: NDArray[np.uint32],
) -> NDArray[np.uint32]:  # fmt: skip
    """Return the series key of each sid.

    Args:
        sessions: The sessions the records are of.
        owners: Shape (m,), the place in `sessions` of each payload's.
        counts: Shape (m,), records of each payload.
        sids: Shape (sum of counts,).
    """
    if len(sessions) == 1:
        return sessions[0].keys(sids)
    # A call for each of a thousand sessions costs more than all the rest of a batch.
    rooms = np.array([len(session.lookup) for session in sessions])
    table = np.concatenate([session.lookup for session in sessions])
    first = np.repeat((np.cumsum(rooms) - rooms)[owners], counts)
    last = np.repeat((rooms - 1).astype(np.uint32)[owners], counts)
    first += np.minimum(sids, last)
    found: NDArray[np.uint32] = table[first]
    return found
