"""Clients that mean harm: honest publishers lose nothing meanwhile, and the relay stays up."""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import zmq
from hypothesis import given
from hypothesis import strategies as st

from llmtop import keys
from llmtop.clock import ManualClock, SystemClock
from llmtop.publish.current import init
from llmtop.relay import relay as relays
from llmtop.relay.channels import Channels
from llmtop.relay.listener import MAX_ASKED, Listener
from llmtop.relay.log import Log
from llmtop.relay.outlet import Outlet
from llmtop.relay.peers import SESSIONS, Peers
from llmtop.relay.relay import Relay, _have
from llmtop.relay.viewer import Viewer
from llmtop.relay.zap import Guard
from llmtop.samples import Batch, RunInfo, WireFrame
from llmtop.store import Store
from llmtop.wire import (
    FROM_SEQ,
    HEADER,
    MAGIC,
    MAX_SIDS,
    RECORD,
    Kind,
    pack,
    pack_json,
    unpack,
)

SILENT = 200
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""A ZMTP greeting, as any ZeroMQ peer sends it."""


def raw(address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))


def shout(address: str, key: str) -> None:
    """Send everything that is not of the protocol, on plain sockets."""
    rng = random.Random(1)
    for some in (b"", GREETING, GREETING[:10], os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n"):
        with raw(address) as one:
            one.sendall(some)
    with raw(address) as one:
        one.sendall(GREETING + b"\x02" + struct.pack(">Q", 1 << 62) + os.urandom(64))
    for _ in range(20):
        with raw(address) as one:
            one.sendall(GREETING + rng.randbytes(rng.randrange(300)))


def lie(context: zmq.Context, address: str, honest: int) -> None:
    """Send frames that are of the protocol, by someone who was let in or need not be."""
    with context.socket(zmq.DEALER) as one:
        one.set(zmq.LINGER, 0)
        one.set(zmq.SNDTIMEO, 2000)
        one.connect(address)
        for seq in (0, 5, 1 << 63, 3):
            one.send(pack(Kind.DATA, b"", count=0, session=honest + 1, seq=seq))
        one.send(HEADER.pack(MAGIC, 1, Kind.DATA, 0xFFFFFFFF, 3, 0, 0.0))
        one.send(os.urandom(1000))
        one.send_multipart([os.urandom(10)] * 1000)
        for session in range(1, 200):
            one.send(pack_json(Kind.HELLO, {"name": f"liar {session}"}, session=session))
            names = [[sid, f"n{session}-{sid}", {}] for sid in range(MAX_SIDS)]
            one.send(pack_json(Kind.DEFS, names, session=session))
        for seq in (0, 0, 0, 7, 7, 1):
            record = struct.pack("<IIqd", seq, 0, -1, 1.0)
            one.send(pack(Kind.DATA, record, count=1, session=1, seq=seq, t0=1.0))
        one.send(pack(Kind.HELLO, b'{"role":"monitor","have":' + b"[" * 5000, session=1))
        one.send(b"{" + os.urandom(100))
        time.sleep(0.2)


def test_honest_publishers_lose_nothing(serve, view, address: str, rendezvous: Path) -> None:
    serving = serve(address, memory=512 << 20)
    runs = [init(f"honest {k}", endpoint=address) for k in range(3)]
    viewer = view(address)
    assert serving.listener.listening.wait(40.0)
    silent = [raw(address) for _ in range(SILENT)]
    steps = 0
    with zmq.Context() as context:
        for _ in range(4):
            for step in range(steps, steps + 2000):
                for run in runs:
                    run.log({"loss": float(step)}, step=step)
            steps += 2000
            shout(address, "")
            lie(context, address, runs[0]._stream.session.id)
    for k in range(3):
        viewer.until(lambda k=k: viewer.has(f"honest {k}", "loss", steps))
        assert viewer.series(f"honest {k}", "loss").sum == sum(range(steps))
        found = next(run for run in serving.store.runs if run.name == f"honest {k}")
        assert found.find("loss")[0].n == steps
    for one in silent:
        one.close()
    assert serving.listener.bad > 0
    assert serving.listener.peers.refused > 0
    # One connection's names leave room for those of others.
    assert len(serving.store.series) < 20_000
    late = init("late", endpoint=address)
    late.log({"loss": 1.0}, step=0)
    viewer.until(lambda: viewer.has("late", "loss", 1))


def test_behind_keys_strangers_get_no_further_than_the_handshake(
    serve, view, address: str, rendezvous: Path
) -> None:
    pair = keys.new_pair()
    serving = serve(address, guard=Guard(pair))
    endpoint = f"{address}?key={pair.public}"
    run = init("honest", endpoint=endpoint)
    run.log({"loss": 0.0}, step=0)
    viewer = view(endpoint)
    viewer.until(lambda: viewer.has("honest", "loss", 1))
    silent = [raw(address) for _ in range(SILENT)]
    shout(address, pair.public)
    with zmq.Context() as context, ExitStack() as stack:
        for secret in (None, zmq.curve_keypair()):
            endless = stack.enter_context(context.socket(zmq.DEALER))
            endless.set(zmq.LINGER, 0)
            if secret is not None:
                endless.set(zmq.CURVE_SERVERKEY, bytes.fromhex(pair.public))
                endless.curve_publickey, endless.curve_secretkey = secret
            endless.connect(address)
            with suppress(zmq.Again):
                endless.send(pack_json(Kind.HELLO, {"name": "liar"}, session=9), zmq.NOBLOCK)
                for _ in range(1000):
                    endless.send(bytes(1000), zmq.SNDMORE | zmq.NOBLOCK)
        deadline = time.monotonic() + 20
        while not serving.listener._guard.refused:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    for step in range(1, 2000):
        run.log({"loss": float(step)}, step=step)
    viewer.until(lambda: viewer.has("honest", "loss", 2000))
    assert viewer.store.dropped == 0
    assert serving.listener.bad == 0
    assert [one.name for one in serving.store.runs] == ["honest"]
    for one in silent:
        one.close()


class Passing:
    """Sessions 7, 8 ... as a relay passes them on, without sockets."""

    def __init__(self, sessions: int = 1) -> None:
        self.clock, self.store = ManualClock(), Store(memory_bytes=32 << 20)
        self.channels = Channels(bytes(8), Log())
        self.keys = [f"{7 + k:016x}" for k in range(sessions)]
        self.take(Batch(runs=tuple(RunInfo(key, "r", rank=k) for k, key in enumerate(self.keys))))
        self.channel = next(iter(self.channels.all.values()))

    def take(self, batch: Batch) -> None:
        self.store.apply(0, batch, self.clock.time())
        self.channels.take(0, batch, self.clock.monotonic())
        self.store.commit(self.clock.time())

    def data(self, first: int, count: int) -> None:
        frames = [
            WireFrame(key, Kind.DATA, seq, 1, pack(
                Kind.DATA, RECORD.pack(0, 0, seq, 1.0), count=1, session=int(key, 16), seq=seq
            )) for seq in range(first, first + count) for key in self.keys
        ]  # fmt: skip
        self.take(Batch(frames=tuple(frames)))


def test_a_viewer_that_asks_and_asks_gets_one_answer() -> None:
    passing = Passing()
    channel, clock, store = passing.channel, passing.clock, passing.store
    outlet = Outlet(b"v", unpack(pack_json(Kind.HELLO, {}, session=1)))
    viewer = Viewer(outlet, passing.channels, {})

    def turn() -> list[int]:
        outlet.frames.clear()
        viewer.turn(store, clock, clock.monotonic() + 60)
        return [unpack(one).kind for one in outlet.frames]

    assert Kind.HELLO in turn()
    for _ in range(2):
        for _ in range(1000):
            viewer.hear(unpack(pack(Kind.PING, session=channel.session)))
        assert turn() == [Kind.PONG]


def test_a_viewer_that_asks_for_all_again_and_again_is_sent_it_as_fast_as_it_reads() -> None:
    passing = Passing(sessions=3)
    outlet = Outlet(b"v", unpack(pack_json(Kind.HELLO, {}, session=1)))
    viewer = Viewer(outlet, passing.channels, {})
    viewer.turn(passing.store, passing.clock, 1e9)
    passing.data(0, 200)
    viewer.turn(passing.store, passing.clock, 1e9)
    outlet.frames.clear()

    def ask(seq: int) -> None:
        for session in (7, 8, 9):
            frame = pack(Kind.REPLAY, FROM_SEQ.pack(seq), session=session)
            viewer.hear(unpack(frame))

    for _ in range(500):
        for seq in (3, 0, 1, 2):
            ask(seq)
    assert len(viewer._outbox) == 0
    viewer.turn(passing.store, passing.clock, 1e9)
    sent = [one.seq for one in map(unpack, outlet.frames) if one.session == 7]
    assert sent == [*range(200)]
    assert len(outlet.frames) == 600
    # The next time is not at once, however often it asks.
    ask(150)
    viewer.turn(passing.store, passing.clock, 1e9)
    assert len(outlet.frames) == 600
    passing.clock.advance(1.0)
    viewer.turn(passing.store, passing.clock, 1e9)
    assert len(outlet.frames) == 600 + 3 * 50
    ask(1 << 60)
    passing.clock.advance(1.0)
    viewer.turn(passing.store, passing.clock, 1e9)
    assert len(outlet.frames) == 750


def test_what_a_viewer_says_is_bounded_and_takes_nothing_from_others() -> None:
    clock = SystemClock()
    listener = Listener("ipc:///nowhere", clock=clock)
    relay = Relay([], [listener], clock, memory_bytes=32 << 20)
    hello = pack_json(Kind.HELLO, {"role": "monitor"}, session=1)
    listener._sort(b"loud", hello)
    (loud,) = listener.outlets
    for seq in range(2 * MAX_ASKED):
        listener._sort(b"loud", pack(Kind.PING, bytes(1000), session=2 + seq))
        listener.intake.mono += 1 / 1000
    assert len(loud.asked) == MAX_ASKED
    assert {len(one.payload) for one in loud.asked} == {0}
    listener._sort(b"loud", pack(Kind.DATA, b"", session=2))
    listener._sort(b"loud", pack_json(Kind.CONTROL, {"action": "stop"}, session=2))
    assert loud.asked[-1].kind == Kind.PING
    listener._sort(b"quiet", hello)
    relay.turn()
    assert {one.identity for one in relay.viewers} == {b"loud", b"quiet"}
    assert not loud.asked


def test_a_connection_that_begins_again_and_again_is_one_viewer(address, monkeypatch) -> None:
    made: list[Outlet] = []

    class Counted(Viewer):
        def __init__(self, outlet: Outlet, *more: object) -> None:
            made.append(outlet)
            super().__init__(outlet, *more)

    monkeypatch.setattr(relays, "Viewer", Counted)
    listener = Listener(address, clock=SystemClock())
    relay = Relay([], [listener], SystemClock(), memory_bytes=32 << 20)
    for _ in range(500):
        listener._sort(b"one", pack_json(Kind.HELLO, {"role": "monitor"}, session=1))
    relay.turn()
    assert len(made) == len(relay.viewers) == 1


def test_a_connection_has_few_sessions_and_names_and_its_share_of_time() -> None:
    peers = Peers()
    hellos = [pack(Kind.HELLO, b"{}", session=k) for k in range(1, SESSIONS + 5)]
    assert sum(peers.admit(b"a", hello, 1.0) for hello in hellos) == SESSIONS
    assert peers.admit(b"b", hellos[0], 1.0)
    entries = [[sid, f"n{sid}", {"first": [1, 2, 3]}] for sid in range(3000)]
    names = pack_json(Kind.DEFS, entries, session=1)
    assert [peers.admit(b"a", names, 1.0) for _ in range(2)] == [True, False]
    assert peers.admit(b"a", names, 20.0)
    flood = [peers.admit(b"a", b"x" * (1 << 20), 30.0) for _ in range(40)]
    assert flood.count(True) == 32
    assert peers.admit(b"a", b"x", 31.0)
    assert peers.refused == 4 + 1 + 8


@given(st.recursive(st.none() | st.integers() | st.text(max_size=9) | st.floats(),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=18), inner, max_size=4)))  # fmt: skip
def test_what_a_viewer_says_it_has_never_raises(said: object) -> None:
    found = _have(unpack(pack_json(Kind.HELLO, {"have": said}, session=1)))
    assert all(isinstance(seq, int) and seq >= 0 for seq in found.values())
