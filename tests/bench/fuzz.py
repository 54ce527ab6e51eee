"""Bytes by chance, guided by what they reach, at everything that reads what others send.

Needs atheris, which not every Python has: `python -m tests.bench.fuzz relay -max_total_time=600`
is ten minutes of a relay with publishers and viewers. Whatever ends it sooner is a bug.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import atheris

with atheris.instrument_imports(include=["llmtop"]):
    import numpy as np

    from llmtop.clock import ManualClock
    from llmtop.errors import WireError
    from llmtop.publish.control import Control
    from llmtop.publish.inbox import Inbox
    from llmtop.relay.listener import Listener
    from llmtop.relay.relay import Relay
    from llmtop.sources.attach import Attach
    from llmtop.sources.intake import Intake
    from llmtop.sources.jsonframe import read_sample
    from llmtop.sources.scraping.exposition import NotMetricsError
    from llmtop.sources.scraping.settings import Settings
    from llmtop.sources.scraping.target import Look, Target, numbers
    from llmtop.sources.subscribe import Subscribe
    from llmtop.store import Store
    from llmtop.wire import BIN, BUCKET, COUNT, RECORD, Kind, pack, read_json, unpack

MEMORY = 8 << 20
MESSAGES = 12
RECORDS = {Kind.DATA: RECORD.size, Kind.BUCKETS: BUCKET.size, Kind.HIST: BIN.size,
           Kind.COUNTS: COUNT.size}  # fmt: skip
HELLO = b'{"name":"r","first_seq":0}'
DEFS = b'[[0,"loss",{}],[1,"n",{"kind":"counter"}],[2,"t",{"kind":"distribution"}]]'
MONITOR = b'{"role":"monitor"}'
PAYLOADS = (HELLO, DEFS, MONITOR, b'{"role":"relay","own":true}', b"{}", b"[]")


def message(given: Any) -> bytes:
    """Return a frame, most often one whose length is right, or any bytes."""
    if given.ConsumeBool() and given.ConsumeBool():
        return bytes(given.ConsumeBytes(given.ConsumeIntInRange(0, 200)))
    kind, count = given.ConsumeIntInRange(0, 13), given.ConsumeIntInRange(0, 6)
    size = RECORDS.get(kind, 8) * count + {Kind.HIST: 4, Kind.COUNTS: 28}.get(kind, 0)
    if given.ConsumeBool():
        payload = given.PickValueInList(list(PAYLOADS))
    else:
        payload = bytes(given.ConsumeBytes(size)).ljust(size, b"\0")
    return pack(kind, payload, count=count, session=given.ConsumeIntInRange(0, 3),
                seq=given.ConsumeIntInRange(0, 9) << given.PickValueInList([0, 0, 0, 60]),
                t0=given.PickValueInList([1e9, 1e9, 0.0, given.ConsumeFloat()]))


def wire(data: bytes) -> None:
    """Frames and the JSON in them."""
    with suppress(WireError):
        frame = unpack(data)
        read_json(frame, dict)


def json(data: bytes) -> None:
    """A sample as JSON."""
    with suppress(WireError):
        read_sample(b"{" + data, 1e9)


def intake(data: bytes) -> None:
    """A hub's side: frames of a few sessions, and the store behind it."""
    given, clock, store = atheris.FuzzedDataProvider(data), ManualClock(1e9), Store(
        memory_bytes=MEMORY)
    taken = Intake(clock)
    for _ in range(MESSAGES):
        taken.frame(bytes([given.ConsumeIntInRange(0, 2)]), message(given))
        _pass(taken, store, clock, given)


def relay(data: bytes) -> None:
    """A relay: publishers and viewers at one socket."""
    given, clock = atheris.FuzzedDataProvider(data), ManualClock(1e9)
    listener = Listener("ipc:///nowhere", clock=clock)
    one = Relay([], [listener], clock, memory_bytes=MEMORY)
    listener.intake.look_at_clock()
    for _ in range(MESSAGES):
        listener._take(bytes([given.ConsumeIntInRange(0, 2)]), message(given))
        _pass(listener.intake, one.engine.store, clock, given)
        one.turn()
        for outlet in one.viewers:
            for frame in outlet.frames:
                unpack(frame)
                outlet.took(frame)
            outlet.frames.clear()


def attach(data: bytes) -> None:
    """A viewer's side: what a relay says of itself and of its sessions."""
    given, clock, store = atheris.FuzzedDataProvider(data), ManualClock(1e9), Store(
        memory_bytes=MEMORY)
    one = Attach("ipc:///nowhere", clock=clock)
    for _ in range(MESSAGES):
        frame = message(given)
        if frame[:2] == b"LT" and frame[8:16] == bytes(8):
            one._own(Nowhere(), frame)  # type: ignore[arg-type]
        else:
            one.intake.frame(b"", frame)
        _pass(one.intake, store, clock, given)


def subscribe(data: bytes) -> None:
    """A foreign publisher's messages."""
    given, clock, store = atheris.FuzzedDataProvider(data), ManualClock(1e9), Store(
        memory_bytes=MEMORY)
    one = Subscribe("sub://nowhere:1", clock=clock)
    for _ in range(MESSAGES):
        part = bytes(given.ConsumeBytes(given.ConsumeIntInRange(0, 120)))
        whole = message(given) if given.ConsumeBool() else part
        one._message([part, whole] if given.ConsumeBool() else [whole])
        _pass(one.intake, store, clock, given)


def control(data: bytes) -> None:
    """What a run is asked."""
    with suppress(WireError):
        Control(Inbox(), True).take(unpack(pack(Kind.CONTROL, data)))


def exposition(data: bytes) -> None:
    """Two pages of a server's metrics."""
    target = Target("http://box:8000", Settings(interval=1.0), numbers(), lambda m, p: m or p)
    store = Store(memory_bytes=MEMORY)
    for at, text in enumerate(data.decode("utf-8", "replace").split("\f")[:3]):
        with suppress(NotMetricsError):
            store.apply(0, target.take(text, "", Look(1e9 + at, float(at))), 1e9 + at)
            store.commit(1e9 + at)


class Nowhere:
    """A socket of which nobody hears."""

    def send(self, _frame: bytes, _flags: int = 0) -> None:
        """Send nothing."""


def _pass(taken: Intake, store: Store, clock: ManualClock, given: Any) -> None:
    clock.advance(given.PickValueInList([0.0, 0.0, 0.3, 2.0, 9.0]))
    taken.look_at_clock()
    taken.tick()
    batch = taken.take()
    if batch is not None:
        store.apply(0, batch, clock.time())
        store.commit(clock.time())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": wire, "json": json, "intake": intake, "relay": relay, "attach": attach,
    "subscribe": subscribe, "control": control, "exposition": exposition,
}  # fmt: skip

if __name__ == "__main__":
    np.seterr(all="ignore")
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
