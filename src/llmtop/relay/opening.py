"""What a viewer is sent first of a session: who it is, and all that the store holds of it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtop.relay.channel import Channel
from llmtop.relay.packing import (
    FRAME_RECORDS,
    Payload,
    pack_bins,
    pack_buckets,
    pack_counts,
    pack_samples,
)
from llmtop.store import Store
from llmtop.store.replica import Replica, bucketed, replicas
from llmtop.wire import MAX_RECORDS, Kind, json_number, pack


def introduce(
    channel: Channel, first: int, ends: Mapping[int, dict[str, Any]] | None = None
) -> list[bytes]:
    """Return HELLO, DEFS and events of a session whose DATA goes on at `first`.

    Args:
        channel: The session.
        first: The seq of the DATA that comes next.
        ends: What DEFS says, by sid, of the history that comes folded.
    """
    ends = ends or {}
    entries = [
        [sid, name, {**about, **ends.get(sid, {})}]
        for sid, name, about in channel.definitions.values()
    ]
    return [channel.hello(first), *channel.defs(entries), *channel.events]


def conclude(channel: Channel, seq: int) -> list[bytes]:
    """Return where a session stands, and its end if it has one."""
    if channel.ending is None:
        return [channel.beat(seq)]
    return [channel.beat(seq), channel.ending]


def opening(channel: Channel, store: Store) -> list[bytes]:
    """Return everything up to now: history folded, then raw points in DATA that end at `next`."""
    folded: list[bytes] = []
    ends: dict[int, dict[str, Any]] = {}
    parts: list[tuple[int, Replica]] = []
    for replica in replicas(store, channel.source, channel.info.key):
        sid = channel.sids.get(replica.series.name)
        if sid is None:
            continue
        rows = replica.rows
        rows["series"] = sid
        for count, payload in pack_buckets(rows):
            folded.append(pack(Kind.BUCKETS, payload, count=count, session=channel.session))
        if len(replica.bins):
            folded.append(pack_bins(channel.session, sid, replica.bins, replica.counts))
        if len(rows) and sid not in ends:
            ends[sid] = _ends(replica)
        parts.append((sid, replica))
    for series, looks in bucketed(store, channel.source, channel.info.key):
        sid = channel.sids.get(series.name)
        if sid is not None:
            folded += [pack_counts(channel.session, sid, part) for part in looks]
    payloads = _payloads(parts, channel.next)
    first = channel.next - len(payloads)
    data = [
        pack(Kind.DATA, records, count=count, session=channel.session, seq=first + at, t0=t0)
        for at, (t0, count, records) in enumerate(payloads)
    ]
    return [*introduce(channel, first, ends), *folded, *data, *conclude(channel, channel.next)]


def _ends(replica: Replica) -> dict[str, Any]:
    """Return what DEFS says of the first point of folded history, and about of its last."""
    first, last = replica.series.first, replica.rows[-1]
    if first is None:
        return {}
    return {
        "first": [first.time, first.step, json_number(first.value)],
        "last": [float(last["t_last"]), int(last["step_last"]), json_number(float(last["last"]))],
    }  # fmt: skip


def _payloads(parts: list[tuple[int, Replica]], room: int) -> list[Payload]:
    """Return the raw points of all series in at most `room` frames, attempt after attempt."""
    payloads: list[Payload] = []
    attempts = sorted({replica.series.attempt for _, replica in parts})
    total = sum(len(replica.points.time) for _, replica in parts)
    # Frames that came held a record each at least, so that fuller ones always find seqs enough.
    most = min(max(FRAME_RECORDS, ceil(total / max(room, 1))), MAX_RECORDS)
    for attempt in attempts:
        mine = [(sid, one.points) for sid, one in parts if one.series.attempt == attempt]
        sids = [np.full(len(points.time), sid, np.uint32) for sid, points in mine]
        time = np.concatenate([points.time for _, points in mine])
        step = np.concatenate([points.step for _, points in mine])
        value = np.concatenate([points.value for _, points in mine])
        order = _together(time, [len(points.time) for _, points in mine])
        payloads += pack_samples(
            np.concatenate(sids)[order], time[order], step[order], value[order], most
        )
    return payloads[-room:] if room else []


def _together(
    time: NDArray[np.float64], counts: list[int]
) -> NDArray[np.intp]:
    """Return an order in which each series keeps its own, and all go on about together.

    That is by time; a series whose clock fell back is moved on to where it had been before.
    """
    reached = np.concatenate([
        np.maximum.accumulate(part) for part in np.split(time, np.cumsum(counts)[:-1])
    ])  # fmt: skip
    return np.argsort(reached, kind="stable")
