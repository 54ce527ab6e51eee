"""Another machine's clock, and a viewer that is told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from llmtop.clock import SystemClock
from llmtop.errors import SourceError, UsageError
from llmtop.sources import attach
from llmtop.sources.attach import Attach
from llmtop.sources.dialling import trouble
from llmtop.sources.offset import TOLD_SECONDS, Offset
from llmtop.wire import Kind, pack, pack_json, read_json, unpack


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=1))
def test_the_offset_is_known_to_half_the_shortest_round_trip(
    offset: float, trips: list[tuple[float, float]]
) -> None:
    known, wall = Offset(), 5e6
    for out, back in trips:
        number = known.ask(wall, wall)
        known.heard(number, wall + out + offset, wall + out + back, wall + out + back)
        wall += 10.0
    assert abs(known.seconds - offset) <= min(out + back for out, back in trips) / 2 + 1e-6


def test_what_is_told_of_a_clock() -> None:
    for offset, told in ((TOLD_SECONDS / 2, ""), (3.25, "its clock is 3.2 s ahead"),
                         (-90.0, "its clock is 90.0 s behind")):  # fmt: skip
        known = Offset()
        assert known.told() == ""
        known.heard(known.ask(100.0, 1.0), 100.0 + offset, 100.0, 1.0)
        assert known.told() == told
    known.heard(12345, 0.0, 100.0, 1.0)
    assert known.told() == told


class Relay:
    """A relay of few words, an hour behind."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.set(zmq.LINGER, 0)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"
        self.hellos: list[dict[str, object]] = []

    def answer(self) -> None:
        """Answer what has come."""
        while self.socket.poll(0):
            identity, data = self.socket.recv_multipart()
            frame = unpack(data)
            if frame.kind == Kind.HELLO:
                self.hellos.append(read_json(frame, dict))
            elif frame.kind == Kind.PING:
                said = pack(Kind.PONG, seq=frame.seq, t0=time.time() - 3600)
                self.socket.send_multipart([identity, said])

    def say(self, identity: bytes, frame: bytes) -> None:
        self.socket.send_multipart([identity, frame])


@pytest.fixture
def relay() -> Iterator[Relay]:
    one = Relay()
    yield one
    one.context.destroy(linger=0)


def test_a_clock_an_hour_behind_is_told_as_the_sources_state(relay: Relay) -> None:
    source = Attach(relay.address, clock=SystemClock())
    stop = threading.Event()
    told = threading.Event()

    def read() -> None:
        for batch in source.batches(stop):
            if batch.status and batch.status.startswith("its clock is 3600.0 s behind"):
                told.set()

    thread = threading.Thread(target=read)
    thread.start()
    deadline = time.monotonic() + 10
    while not told.wait(0.02):
        assert time.monotonic() < deadline
        relay.answer()
    stop.set()
    thread.join()
    assert relay.hellos[0]["role"] == "monitor"
    assert relay.hellos[0]["have"] == {}


@given(st.binary(max_size=80), st.integers(0, 12), st.integers(0, 1 << 63))
def test_no_frame_of_a_relay_raises(body: bytes, kind: int, seq: int) -> None:
    source = Attach("tcp://127.0.0.1:9", clock=SystemClock())
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        source._own(socket, pack(kind, body, seq=seq))
        for said in ({"level": "lag", "count": "x"}, {"level": [body.hex()]}, {}):
            source._own(socket, pack_json(Kind.EVENT, said, session=0))
    source._take(False)


def test_a_relay_that_is_gone_is_not_taken_for_one_that_answers(relay: Relay) -> None:
    source, stop = Attach(relay.address, clock=SystemClock()), threading.Event()
    caught_up = pack_json(Kind.EVENT, {"level": "caught_up"}, session=0)
    batches = source.batches(stop)
    answering = threading.Thread(
        target=lambda: relay.say(relay.socket.recv_multipart()[0], caught_up)
    )
    answering.start()
    while not next(batches).caught_up:
        pass
    answering.join()
    batches.close()
    relay.context.destroy(linger=0)
    with pytest.raises(SourceError, match="connection refused"):
        next(source.batches(stop))


@pytest.mark.parametrize(("address", "said"), [
    ("ipc:///tmp/nowhere/serve.sock", "no such file or directory"),
    ("tcp://127.0.0.1:1", "connection refused"), ("tcp://no/host:1", ""),
])  # fmt: skip
def test_what_the_system_says_against_a_connection(address: str, said: str) -> None:
    assert said in trouble(address) != ""


def test_who_asks_for_a_key_and_who_is_no_relay_is_told_apart(monkeypatch) -> None:
    monkeypatch.setattr(attach, "SILENT_SECONDS", 2.0)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as locked:
        public, secret = zmq.curve_keypair()
        locked.curve_server, locked.curve_publickey, locked.curve_secretkey = 1, public, secret
        port = locked.bind_to_random_port("tcp://127.0.0.1")
        source = Attach(f"tcp://127.0.0.1:{port}", clock=SystemClock())
        with pytest.raises(SourceError, match="asks for a key"):
            list(source.batches(threading.Event()))


def test_addresses_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(attach, "SILENT_SECONDS", 0.1)
    monkeypatch.setenv("LLMTOP_KEYS", str(tmp_path))
    with pytest.raises(UsageError, match="64 hexadecimal"):
        Attach("tcp://h:1?key=zz", clock=SystemClock())
    for text in ("tcp://host", "tcp://no port:80", "tcp://", "tcp://h:1/x", "ipc://"):
        with pytest.raises(UsageError, match="is no address; write tcp://host:7788"):
            Attach(text, clock=SystemClock())
