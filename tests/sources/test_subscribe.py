"""sub://: what foreign PUB sockets send, in the ways they send it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from llmtop.clock import ManualClock, SystemClock
from llmtop.engine import Engine
from llmtop.errors import UsageError
from llmtop.sources.subscribe import Subscribe
from llmtop.store import Store
from llmtop.wire import RECORD, Kind, pack, pack_json


class Publisher:
    """A PUB socket, and an engine that is subscribed to it."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.set(zmq.LINGER, 0)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"sub://127.0.0.1:{port}"
        self.engine = Engine(
            Store(), [Subscribe(self.address, clock=SystemClock())], SystemClock()
        )
        self.engine.start()
        assert self.socket.poll(10_000)
        assert self.socket.recv() == b"\x01"

    def until(self, name: str, n: int) -> dict[str, list[float]]:
        """Pump until some series of the name has n points; return values by run."""
        deadline = time.monotonic() + 15
        while True:
            self.engine.pump(time.time())
            found = {one.run.name: one for one in self.engine.store.series if one.name == name}
            if any(one.n >= n for one in found.values()):
                return {run: one.window(99).value.tolist() for run, one in found.items()}
            assert time.monotonic() < deadline, self.engine.source_states
            self.engine._arrived.wait(0.02)
            self.engine._arrived.clear()

    def close(self) -> None:
        self.engine.stop()
        self.context.destroy(linger=0)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    one = Publisher()
    yield one
    one.close()


def test_objects_alone_and_with_topics(publisher: Publisher) -> None:
    send = publisher.socket.send_multipart
    send([json.dumps({"run": "a", "step": 1, "loss": 1.0}).encode()])
    send([b"trainer", b'{"step": 2, "loss": 2.0}'])
    send([b"metrics.eval {\"step\": 3, \"loss\": 3.0}"])
    send([b'{"step": 4, "loss": 4.0}'])
    send([b"{}"])
    send([b"last", b'{"loss": 5.0}'])
    publisher.until("loss", 1)
    while "last" not in (found := publisher.until("loss", 1)):
        publisher.engine._arrived.wait(0.05)
    here = publisher.address.removeprefix("sub://")
    assert found == {
        "a": [1.0], "trainer": [2.0], "metrics.eval": [3.0], here: [4.0], "last": [5.0]
    }


def test_a_run_that_is_named_inside_or_as_a_value_names_no_run(publisher: Publisher) -> None:
    send = publisher.socket.send_multipart
    send([b"topic", b'{"loss": 1.0, "config": {"run": "inner"}}'])
    send([b"topic", b'{"loss": 2.0, "kind": "run"}'])
    assert publisher.until("loss", 2) == {"topic": [1.0, 2.0]}


def test_frames_of_the_protocol_and_what_is_neither(publisher: Publisher) -> None:
    send = publisher.socket.send
    hello = {"role": "publisher", "name": "framed", "host": "h", "pid": 1, "first_seq": 0}
    send(pack_json(Kind.HELLO, hello, session=5))
    send(pack_json(Kind.DEFS, [[0, "loss", {}]], session=5))
    send(b"a plain line")
    for seq in range(3):
        record = RECORD.pack(0, 0, seq, float(seq))
        send(pack(Kind.DATA, record, count=1, session=5, seq=seq, t0=time.time()))
    assert publisher.until("loss", 3) == {"framed": [0.0, 1.0, 2.0]}
    deadline = time.monotonic() + 10
    while "1 messages were neither" not in publisher.engine.source_states[0].status:
        assert time.monotonic() < deadline
        publisher.engine.pump(time.time())


def test_a_publisher_that_is_not_there_yet_is_waited_for() -> None:
    source = Subscribe("sub://127.0.0.1:9", clock=SystemClock())
    stop = threading.Event()
    batches = source.batches(stop)
    assert next(batches).status == "nothing has come yet"
    assert next(batches).caught_up
    stop.set()
    assert list(batches) == []


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_no_message_raises(parts: list[bytes]) -> None:
    source = Subscribe("sub://h:1", clock=ManualClock())
    source._message(parts)
    source._message([b"{" + parts[0]])
    source.intake.take()


@pytest.mark.parametrize("text", ["sub://h", "sub://", "sub://:1", "sub://h:x", "sub://h:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write sub://host:port"):
        Subscribe(text, clock=ManualClock())
