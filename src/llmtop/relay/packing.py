"""Columns of samples -> payloads of DATA and BUCKETS frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import Bucketed
from llmtop.sources.history import BIN_DTYPE, COUNT_DTYPE
from llmtop.sources.pending import RECORD_DTYPE
from llmtop.wire import COUNTS, MAX_RECORDS, SID, Kind, pack

FRAME_RECORDS = 1024
"""Records of a DATA frame by default, as publishers fill them."""
LONGEST_SECONDS = 4294.0
"""What a frame may span: microseconds after t0 have 32 bits."""
BUCKETS_A_FRAME = 512
"""BUCKETS records of a frame: 32 kB."""


class Payload(NamedTuple):
    """What a DATA frame carries."""

    t0: float
    records: int
    data: bytes


def pack_samples(
    sid: NDArray[np.integer], time: NDArray[np.float64], step: NDArray[np.int64],
    value: NDArray[np.float64], most: int = FRAME_RECORDS,
) -> Iterator[Payload]:  # fmt: skip
    """Yield the payloads of some samples in their order, at most `most` records each.

    A sample whose time is no number cannot be told: a frame has a beginning and offsets from it.
    """
    known = np.isfinite(time)
    if not known.all():
        sid, time, step, value = sid[known], time[known], step[known], value[known]
    most = min(most, MAX_RECORDS)
    at = 0
    while at < len(sid):
        some = time[at : at + most]
        span = np.maximum.accumulate(some) - np.minimum.accumulate(some)
        fits = slice(at, at + int(np.searchsorted(span, LONGEST_SECONDS, side="right")))
        yield _pack(sid[fits], time[fits], step[fits], value[fits])
        at = fits.stop


def _pack(
    sid: NDArray[np.integer], time: NDArray[np.float64], step: NDArray[np.int64],
    value: NDArray[np.float64],
) -> Payload:  # fmt: skip
    t0 = max(float(time.min()), 0.0)
    records = np.empty(len(sid), RECORD_DTYPE)
    records["sid"], records["step"], records["value"] = sid, step, value
    records["dt"] = np.rint(np.maximum(time - t0, 0.0) * 1e6)
    return Payload(t0, len(records), records.tobytes())


def pack_buckets(rows: NDArray[np.void]) -> Iterator[tuple[int, bytes]]:
    """Yield (count, payload) of BUCKETS frames."""
    for at in range(0, len(rows), BUCKETS_A_FRAME):
        some = rows[at : at + BUCKETS_A_FRAME]
        yield len(some), some.tobytes()


def pack_bins(
    session: int, sid: int, bins: NDArray[np.uint16], counts: NDArray[np.uint32]
) -> bytes:
    """Return a HIST frame."""
    pairs = np.empty(len(bins), BIN_DTYPE)
    pairs["bin"], pairs["count"] = bins, counts
    return pack(Kind.HIST, SID.pack(sid) + pairs.tobytes(), count=len(bins), session=session)


def pack_counts(session: int, sid: int, part: Bucketed) -> bytes:
    """Return the COUNTS frame of one look."""
    pairs = np.empty(len(part.bounds), COUNT_DTYPE)
    pairs["bound"], pairs["n"] = part.bounds, part.counts
    head = COUNTS.pack(sid, part.start, part.stop, part.sum)
    return pack(Kind.COUNTS, head + pairs.tobytes(), count=len(pairs), session=session)
