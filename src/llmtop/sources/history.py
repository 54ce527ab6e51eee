"""Folded history as it comes over the wire: BUCKETS and HIST payloads with the hub's keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import BUCKET_DTYPE, NO_STEP, Bucketed, Histogram
from llmtop.sources.introduce import LATEST
from llmtop.sources.session import UNKNOWN, Session
from llmtop.wire import COUNTS, SID, Frame, Kind

BIN_DTYPE = np.dtype([("bin", "<u2"), ("count", "<u4")])
"""The wire's pair of HIST (6 bytes)."""
COUNT_DTYPE = np.dtype([("bound", "<f8"), ("n", "<u8")])
"""The wire's pair of COUNTS (16 bytes)."""
BINS = 1 << 15
"""Bins there are: 15 bits of a float32."""


def read_folded(
    session: Session, frame: Frame
) -> tuple[NDArray[np.void] | Histogram | None, int, int]:
    """Return what BUCKETS or HIST hold, samples of unknown sids in it, and rows that cannot be."""
    if frame.kind == Kind.HIST:
        return read_histogram(session, frame), 0, 0
    return read_buckets(session, frame)


def read_buckets(session: Session, frame: Frame) -> tuple[NDArray[np.void], int, int]:
    """Return the rows of BUCKETS, and what was left out.

    That is: samples in rows of sids never defined, and rows that cannot be (empty, of no time).
    """
    rows = np.frombuffer(frame.payload, BUCKET_DTYPE)
    first, last = rows["t_first"], rows["t_last"]
    sound = (rows["n"] > 0) & (first >= 0) & (first <= last) & (last < LATEST)
    bad = len(rows) - int(sound.sum())
    rows = rows[sound]
    rows["series"] = session.keys(rows["series"])
    known = rows["series"] != UNKNOWN
    lost = int(rows["n"][~known].sum(dtype=np.int64))
    rows = rows[known]
    if session.overflow != UNKNOWN:
        folded = rows["series"] == session.overflow
        rows["sum"][folded] = rows["n"][folded]
        for column, value in (("min", 1), ("max", 1), ("last", 1), ("step_first", NO_STEP),
                              ("step_last", NO_STEP)):  # fmt: skip
            rows[column][folded] = value
    return rows, lost, bad


def read_histogram(session: Session, frame: Frame) -> Histogram | None:
    """Return the increments of HIST, None where its series is not known."""
    (sid,) = SID.unpack_from(frame.payload)
    key = int(session.keys(np.array([sid], dtype=np.uint32))[0])
    pairs = np.frombuffer(frame.payload[SID.size :], BIN_DTYPE)
    pairs = pairs[pairs["bin"] < BINS]
    if key in (UNKNOWN, session.overflow) or not len(pairs):
        return None
    return Histogram(key, pairs["bin"].copy(), pairs["count"].copy())


def read_counts(session: Session, frame: Frame) -> Bucketed | None:
    """Return what COUNTS says of one look, None where it is of no known series or came before."""
    sid, start, stop, total = COUNTS.unpack_from(frame.payload)
    key = int(session.keys(np.array([sid], dtype=np.uint32))[0])
    pairs = np.frombuffer(frame.payload[COUNTS.size :], COUNT_DTYPE)
    sound = 0 <= start <= stop < LATEST and not (pairs["n"] >> 62).any()
    if key in (UNKNOWN, session.overflow) or not sound or stop <= session.counted.get(key, -1.0):
        return None
    session.counted[key] = stop
    return Bucketed(key, start, stop, pairs["bound"].copy(), pairs["n"].astype(np.int64), total)
