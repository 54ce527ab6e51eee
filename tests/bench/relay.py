"""One relay for 1000 ranks behind CURVE: what it costs, how late it is, what a viewer adds.

The relay (`python -m tests.bench.relay serve VIEWERS`) is what `llmtop serve` runs, without this
machine's own sources. The ranks are 8 processes of 125 sockets each, which send frames of 50
metrics four times a second; a viewer is a process that stores all it gets.
"""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import zmq
from tests.bench.children import ROOT, answer, free_address, rendezvous, tell
from tests.bench.table import Row, below

from llmtop import keys
from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.relay.listener import Listener
from llmtop.relay.relay import STATE_SECONDS, PublishedStore, Relay
from llmtop.relay.zap import Guard
from llmtop.samples import Batch
from llmtop.sources.attach import Attach
from llmtop.store import Store
from llmtop.wire import FROM_SEQ, RECORD, Frame, Kind, pack, pack_json, unpack

PROCESSES, SOCKETS, METRICS, HERTZ = 8, 125, 50, 4
RANKS = PROCESSES * SOCKETS
SETTLE_SECONDS, SECONDS = 12.0, 15.0
GIVE_UP_SECONDS = 120.0
MEMORY = 512 << 20


def relay() -> Iterator[Row]:
    """Yield the cost of the ranks, and of the ranks and a viewer."""
    cost: dict[int, float] = {}
    for viewers in (0, 1):
        with rendezvous() as env:
            env["LLMTOP_KEYS"] = f"{env['LLMTOP_DIR']}/keys"
            said = answer("relay", "serve", str(viewers), env=env).split()
        cpu, p99, came, lost, seen = map(float, said)
        cost[viewers] = cpu
        who = f"{RANKS} ranks x {METRICS} metrics, {HERTZ} Hz, {viewers} viewers"
        yield below(f"{who}: CPU", cpu * 100, 20.0 if not viewers else 30.0, "% of a core")
        yield below("  publish to store, p99", p99 * 1000, 200.0, "ms", 0)
        yield Row("  samples, and lost", f"{came:,.0f}, {lost:,.0f}", "0 lost", not lost)
        if viewers:
            yield Row("  samples at the viewer", f"{seen:,.0f}")
    yield below("a viewer adds", (cost[1] - cost[0]) * 100, 10.0, "% of a core")


class Timed(PublishedStore):
    """A store that notes how late samples are."""

    late: list[np.ndarray[Any, Any]]

    def apply(self, source: int, batch: Batch, now: float) -> None:
        """Take in a batch."""
        super().apply(source, batch, now)
        if batch.samples is not None:
            self.late.append(time.time() - batch.samples.time[::METRICS])


def serve(viewers: int) -> None:
    """Run the relay, the ranks and the viewers; tell what it cost from when all are there."""
    pair = keys.new_pair()
    address, clock = free_address(), SystemClock()
    listener = Listener(address, clock=clock, guard=Guard(pair))
    running = Relay([], [listener], clock, memory_bytes=MEMORY)
    store = Timed(running.channels, clock, memory_bytes=MEMORY)
    store.late, store.state_seconds, store.tells = [], STATE_SECONDS, False
    running.engine.store = store
    stop = threading.Event()
    thread = threading.Thread(target=running.run, args=(stop,))
    thread.start()
    where = f"{address}?key={pair.public}"
    children = [_child("ranks", where, str(k)) for k in range(PROCESSES)]
    watching = [_child("watch", where) for _ in range(viewers)]
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while len(store.runs) < 1 or len(store.runs[0].ranks) < RANKS:
        if time.monotonic() > give_up:
            break
        time.sleep(0.1)
    time.sleep(SETTLE_SECONDS)
    while any(one._looked_at != running.channels.version for one in [*running.viewers.values()]):
        # What a thousand histories cost is no part of what a viewer costs from then on.
        if time.monotonic() > give_up:
            break
        time.sleep(0.1)
    before, began, came = _cpu(), time.monotonic(), store.samples
    store.late.clear()
    time.sleep(SECONDS)
    cpu = (_cpu() - before) / (time.monotonic() - began)
    came = store.samples - came
    late = np.concatenate(store.late) if store.late else np.array([np.inf])
    for child in (*watching, *children):
        child.terminate()
    seen = sum(int(child.communicate()[0] or 0) for child in watching)
    for child in children:
        child.wait()
    tell(cpu, float(np.quantile(late, 0.99)), came, store.dropped, seen)
    stop.set()
    thread.join()


def _child(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.relay", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Rank:
    """One rank: what it says of itself, and all it has sent."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], where: str, rank: int) -> None:
        address, key = keys.split(where)
        self.socket, self.session = context.socket(zmq.DEALER), rank + 1
        for option, value in ((zmq.SNDHWM, 64), (zmq.HEARTBEAT_IVL, 2000), (zmq.LINGER, 0),
                              (zmq.HEARTBEAT_TIMEOUT, 6000), (zmq.HANDSHAKE_IVL, 3000)):
            self.socket.set(option, value)
        self.socket.set(zmq.RECONNECT_IVL, 250)
        self.socket.set(zmq.RECONNECT_IVL_MAX, 2000)
        keys.arm(self.socket, key)
        self.socket.connect(address)
        about = {"role": "publisher", "name": "big", "host": "elsewhere", "pid": 1, "rank": rank,
                 "world_size": RANKS, "started": time.time(), "first_seq": 0}
        names = [[sid, f"metric_{sid}", {}] for sid in range(METRICS)]
        self._introduction = [pack_json(Kind.HELLO, about, session=self.session),
                              pack_json(Kind.DEFS, names, session=self.session)]
        self._sent: list[bytes] = []
        self._waiting: deque[bytes] = deque(self._introduction)

    def say(self, records: bytes, step: int) -> None:
        """Send one frame, after what waits, and heed what was asked."""
        frame = pack(Kind.DATA, records, count=METRICS, session=self.session, seq=step,
                     t0=time.time())
        self._sent.append(frame)
        self._waiting.append(frame)
        while self.socket.get(zmq.EVENTS) & zmq.POLLIN:
            self._heed(unpack(self.socket.recv(zmq.NOBLOCK)), step + 1)
        with suppress(zmq.Again):
            while self._waiting:
                self.socket.send(self._waiting[0], zmq.NOBLOCK)
                self._waiting.popleft()

    def _heed(self, frame: Frame, upcoming: int) -> None:
        if frame.kind == Kind.PING and not frame.session:
            self._waiting = deque([*self._introduction, *self._sent])
        elif frame.kind == Kind.REPLAY:
            said = [one for one in self._waiting if one in self._introduction]
            self._waiting = deque([*said, *self._sent[FROM_SEQ.unpack(frame.payload)[0] :]])
        elif frame.kind == Kind.PING:
            self._waiting.append(pack(Kind.PONG, session=self.session, seq=upcoming))


def ranks(where: str, number: int) -> None:
    """Be SOCKETS ranks."""
    context = zmq.Context()
    mine = [Rank(context, where, number * SOCKETS + k) for k in range(SOCKETS)]
    body = struct.Struct("<" + "IIqd" * METRICS)
    step, due = 0, time.monotonic() + number / PROCESSES / HERTZ
    while True:
        fields = [x for sid in range(METRICS) for x in (sid, 0, step, float(step + sid))]
        records = body.pack(*fields)
        assert len(records) == METRICS * RECORD.size
        for one in mine:
            one.say(records, step)
        step += 1
        due += 1 / HERTZ
        time.sleep(max(0.0, due - time.monotonic()))


def watch(where: str) -> None:
    """Be a viewer until terminated; print how many samples came."""
    import signal

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    engine = Engine(Store(memory_bytes=MEMORY), [Attach(where, clock=SystemClock())], SystemClock())
    engine.start()
    while not stop.wait(0.1):
        engine.pump(time.time())
    print(engine.store.samples)
    os._exit(0)


if __name__ == "__main__":
    jobs = {"serve": lambda n: serve(int(n)), "ranks": lambda w, n: ranks(w, int(n)),
            "watch": watch}
    jobs[sys.argv[1]](*sys.argv[2:])
