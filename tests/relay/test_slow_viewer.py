"""A viewer that is too slow is told so, gets thinner data and harms nobody."""

from __future__ import annotations

import math
import time

import numpy as np
import zmq
from hypothesis import given
from hypothesis import strategies as st

from llmtop.publish.current import init
from llmtop.relay import viewer as viewers
from llmtop.relay.channel import Channel
from llmtop.relay.packing import pack_samples
from llmtop.relay.thin import KEPT, thin
from llmtop.samples import RunInfo
from llmtop.sources.introduce import Definition
from llmtop.wire import RECORD, Kind, pack, pack_json, read_json, unpack


def frame(seq: int, t0: float, rows: list[tuple[int, float]]) -> bytes:
    records = b"".join(RECORD.pack(sid, k, seq, value) for k, (sid, value) in enumerate(rows))
    return pack(Kind.DATA, records, count=len(rows), session=7, seq=seq, t0=t0)


def a_channel() -> Channel:
    channel = Channel(0, RunInfo(f"{7:016x}", "r"), 7)
    channel.define(Definition(0, "loss", "gauge", "", ""))
    channel.define(Definition(1, "tokens", "counter", "", ""))
    return channel


rows = st.lists(st.tuples(st.integers(0, 1), st.floats(-1e6, 1e6)), max_size=40)


@given(st.lists(rows, min_size=1, max_size=12))
def test_extremes_the_last_and_every_increment_stay(frames: list[list[tuple[int, float]]]) -> None:
    packed = [frame(seq, 100.0 + seq, some) for seq, some in enumerate(frames)]
    payload, left_out = thin(a_channel(), packed)
    every = [row for some in frames for row in some]
    if payload is None:
        assert not every
        return
    kept = [(sid, value) for sid, _, _, value in RECORD.iter_unpack(payload.data)]
    losses = [value for sid, value in every if sid == 0]
    kept_losses = [value for sid, value in kept if sid == 0]
    if losses:
        assert (min(kept_losses), max(kept_losses)) == (min(losses), max(losses))
        assert kept_losses[-1] == losses[-1]
    assert left_out == len(losses) - len(kept_losses)
    assert len(kept_losses) <= KEPT + 2
    tokens = [value for sid, value in every if sid == 1]
    if tokens:
        assert abs(sum(v for s, v in kept if s == 1) - sum(tokens)) < 1e-3
    times = [payload.t0 + dt * 1e-6 for _, dt, _, _ in RECORD.iter_unpack(payload.data)]
    assert all(99.9 < t < 200.0 for t in times)


times = st.floats(0, 2e9) | st.just(math.nan) | st.floats()


@given(st.lists(times, max_size=30))
def test_samples_of_no_time_are_left_out_and_the_rest_is_packed(times: list[float]) -> None:
    count = len(times)
    payloads = pack_samples(
        np.zeros(count, np.uint32), np.array(times, np.float64), np.arange(count),
        np.zeros(count), 8,
    )  # fmt: skip
    packed = [row[2] for one in payloads for row in RECORD.iter_unpack(one.data)]
    assert packed == [step for step, time in enumerate(times) if math.isfinite(time)]


def test_nothing_is_left_of_samples_of_no_time() -> None:
    assert thin(a_channel(), [frame(0, math.nan, [(0, 1.0)])]) == (None, 1)


def test_it_is_told_and_thinned_and_others_get_everything(
    serve, view, address: str, monkeypatch
) -> None:
    monkeypatch.setattr(viewers, "LAG_SECONDS", 0.3)
    serve(address)
    run = init("busy", endpoint=address)
    run.log({"loss": -1.0}, step=0)
    quick = view(address)
    quick.until(lambda: quick.has("busy", "loss", 1))
    with zmq.Context() as context, context.socket(zmq.DEALER) as slow:
        slow.set(zmq.LINGER, 0)
        slow.set(zmq.RCVHWM, 1)
        slow.set(zmq.RCVBUF, 4096)
        slow.connect(address)
        slow.send(pack_json(Kind.HELLO, {"role": "monitor"}, session=1))
        for step in range(1, 300_001):
            run.log({"loss": float(step)}, step=step)
            if step % 10_000 == 0:
                time.sleep(0.1)
                slow.send(pack(Kind.PING, seq=step))
        quick.until(lambda: quick.has("busy", "loss", 300_001))
        assert quick.series("busy", "loss").sum == sum(range(300_001)) - 1
        assert quick.store.dropped == 0
        lags, lost, values = [], 0, []
        while not values or values[-1] != 300_000.0:
            assert slow.poll(30_000)
            one = unpack(slow.recv())
            if one.kind == Kind.EVENT:
                said = read_json(one, dict)
                if said["level"] == "lag":
                    lags.append(said["count"])
                elif said["level"] == "dropped":
                    lost += said["count"]
            elif one.kind == Kind.DATA:
                values += [value for _, _, _, value in RECORD.iter_unpack(one.payload)]
        assert sum(lags) == lost > 0
        assert values == sorted(values)
        assert len(values) + lost == 300_001
