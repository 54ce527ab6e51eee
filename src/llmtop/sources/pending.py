"""Samples on their way from frames to one columnar batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import NO_STEP, Samples
from llmtop.sources.session import UNKNOWN, Session

RECORD_DTYPE = np.dtype([("sid", "<u4"), ("dt", "<u4"), ("step", "<i8"), ("value", "<f8")])
"""The wire's DATA record (24 bytes)."""


@dataclass(slots=True)
class _Bundle:
    """DATA payloads of one session."""

    payloads: list[memoryview] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)


class Pending:
    """What came since the last `take`; whoever adds looks at `count` to bound it."""

    def __init__(self) -> None:
        self.count = 0
        """Samples waiting."""
        self.unknown = 0
        """Samples left out because no DEFS named their sid; the reader sets it back."""
        self._bundles: dict[Session, _Bundle] = {}
        self._parts: list[Samples] = []

    def add(self, session: Session, payload: memoryview, count: int, t0: float) -> None:
        """Add the payload of a DATA frame."""
        bundle = self._bundles.get(session)
        if bundle is None:
            bundle = self._bundles[session] = _Bundle()
        bundle.payloads.append(payload)
        bundle.counts.append(count)
        bundle.starts.append(t0)
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
        if not self._bundles:
            return
        bundles, self._bundles = self._bundles, {}
        joined = b"".join([part for bundle in bundles.values() for part in bundle.payloads])
        records = np.frombuffer(joined, RECORD_DTYPE)
        counts = np.array([n for bundle in bundles.values() for n in bundle.counts])
        starts = np.array([t for bundle in bundles.values() for t in bundle.starts])
        time = np.repeat(starts, counts)
        time += records["dt"] * 1e-6
        keys, begin = np.empty(len(records), np.uint32), 0
        for session, bundle in bundles.items():
            end = begin + sum(bundle.counts)
            keys[begin:end] = session.keys(records["sid"][begin:end])
            begin = end
        self._keep(keys, time, records["step"].copy(), records["value"].copy(), bundles)

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
