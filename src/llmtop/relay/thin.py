"""Many DATA frames of one session -> few records: each series keeps its extremes and its last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmtop.relay.channel import Channel
from llmtop.relay.packing import Payload, pack_samples
from llmtop.sources.pending import RECORD_DTYPE
from llmtop.wire import HEADER, MAX_RECORDS

KEPT = 8
"""Points kept of a series in one go: each quarter of it with its minimum and maximum."""


def thin(channel: Channel, frames: Sequence[bytes]) -> tuple[Payload | None, int]:
    """Return one payload that stands for all the frames, and how many samples it leaves out.

    Points of a gauge or distribution are samples as they came, highest and lowest among them;
    increments of a counter are added up, so that none is missing.
    """
    records = np.frombuffer(b"".join(frame[HEADER.size :] for frame in frames), RECORD_DTYPE)
    counts = [(len(frame) - HEADER.size) // RECORD_DTYPE.itemsize for frame in frames]
    time = np.repeat([HEADER.unpack_from(frame)[6] for frame in frames], counts)
    time = time + records["dt"] * 1e-6
    value = records["value"].copy()
    chosen: list[NDArray[np.intp]] = []
    summed = 0
    for sid in np.unique(records["sid"]).tolist():
        mine = np.flatnonzero(records["sid"] == sid)
        entry = channel.definitions.get(sid)
        if entry is not None and entry[2].get("kind") == "counter":
            value[mine[-1]] = value[mine].sum()
            summed += len(mine) - 1
            chosen.append(mine[-1:])
        else:
            chosen.append(_extremes(mine, value))
    if not chosen:
        return None, 0
    picked = np.sort(np.concatenate(chosen))[-MAX_RECORDS:]
    payloads = [*pack_samples(
        records["sid"][picked], time[picked], records["step"][picked], value[picked], MAX_RECORDS
    )]  # fmt: skip
    if not payloads:
        return None, len(records) - summed
    # Only the last payload is sent: two are needed where times lie more than an hour apart.
    kept = payloads[-1].records
    return payloads[-1], len(records) - kept - summed


def _extremes(mine: NDArray[np.intp], value: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return where, of some points, the first, the last, minima, maxima and one NaN stand."""
    if len(mine) <= KEPT:
        return mine
    keep = {int(mine[0]), int(mine[-1])}
    for part in np.array_split(mine, KEPT // 2):
        finite = part[np.isfinite(value[part])]
        if len(finite) < len(part):
            keep.add(int(part[~np.isfinite(value[part])][0]))
        if len(finite):
            keep.add(int(finite[value[finite].argmin()]))
            keep.add(int(finite[value[finite].argmax()]))
    return np.array(sorted(keep), np.intp)
