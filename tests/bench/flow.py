"""Samples a second from a publisher's socket into the store, and whether all arrived.

The receiver (`python -m tests.bench.flow receive SAMPLES`) is what the monitor runs: hub thread,
engine and store, libzmq's own thread too, all held to one core. The sender, on another core, sends
DATA frames made before, as fast as the socket takes them.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import zmq
from tests.bench.children import ROOT, answer, rendezvous, tell
from tests.bench.monitor import engine
from tests.bench.table import Row

from llmtop.engine import Engine
from llmtop.store import Store
from llmtop.wire import HEADER, MAGIC, RECORD, VERSION, Kind, pack, pack_json

SESSION = 7
SERIES = 64
AT_A_TIME = {1: 150_000, 8: 2_000_000, 64: 8_000_000, 1024: 16_000_000}
"""Samples a message -> samples sent: a second or two of each."""
TARGETS = {8: 1.0, 64: 3.0}
"""Million samples a second."""
ATTEMPTS = 3
GIVE_UP_SECONDS = 60.0
LOGGED = 200_000
"""Calls made in one go: below the queue's bound, so that every one of them must arrive."""


def flow() -> Iterator[Row]:
    """Yield the best of ATTEMPTS runs for each size of message, then run.log itself."""
    for size, samples in AT_A_TIME.items():
        best, sent, arrived = 0.0, 0, 0
        for _ in range(ATTEMPTS):
            with rendezvous() as env:
                seconds, came, dropped = map(float, answer(
                    "flow", "receive", str(size), str(samples), env=env).split())
            sent, arrived = sent + samples, arrived + int(came)
            best = max(best, came / seconds / 1e6)
            if dropped or came != samples:
                lost = f"{samples - came:,.0f}, told {dropped:,.0f}"
                yield Row(f"  {size} a message: lost", lost, "0", False)
        what = f"{size} samples a message ({arrived:,} of {sent:,} arrived)"
        target = TARGETS.get(size)
        met = None if target is None else best >= target and arrived == sent
        yield Row(what, f"{best:.2f} M samples/s", f"≥ {target:g} M/s" if target else "", met)
    with rendezvous() as env:
        seconds, came, dropped = map(float, answer("flow", "log", env=env).split())
    yield Row(f"run.log, {LOGGED:,} calls in one go: arrived", f"{came:,.0f} in {seconds:.1f} s",
              f"{LOGGED:,}, 0 dropped", came == LOGGED and not dropped)


def receive(size: int, samples: int) -> None:
    """Measure from the first sample to the last."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    running = engine()
    running.start()
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.flow", "send", str(size), str(samples), str(cores[-1])],
        cwd=ROOT, stdin=subprocess.PIPE,
    )
    _pump_until(running, samples)
    sender.kill()
    sender.wait()


def log() -> None:
    """Log from another process; count what arrives."""
    running = engine()
    running.start()
    with subprocess.Popen([sys.executable, "-m", "tests.bench.flow", "logger"], cwd=ROOT):
        _pump_until(running, LOGGED)


def _came(store: Store) -> int:
    """Return the samples that came over the wire: what rules derive from them is not counted."""
    return sum(series.n for series in store.series if not series.derived)


def _pump_until(running: Engine, samples: int) -> None:
    store, clock = running.store, time.perf_counter
    began, give_up = 0.0, clock() + GIVE_UP_SECONDS
    while (came := _came(store)) < samples and clock() < give_up:
        if not began and came:
            began = clock()
        running.pump(time.time(), max_seconds=1.0)
        time.sleep(0.005)
    tell(clock() - began, came, store.dropped)
    running.stop()


def send(size: int, samples: int, core: int) -> None:
    """Be the fastest publisher there can be: frames differ in their header only."""
    os.sched_setaffinity(0, {core})
    meet = Path(os.environ["LLMTOP_DIR"])
    while not (found := list(meet.glob("mon-*.sock"))):
        time.sleep(0.01)
    socket = zmq.Context().socket(zmq.DEALER)
    socket.set(zmq.SNDHWM, 64)
    socket.connect(f"ipc://{found[0]}")
    about = {"role": "publisher", "name": "bench", "host": "here", "pid": os.getpid(),
             "started": time.time(), "first_seq": 0}
    socket.send(pack_json(Kind.HELLO, about, session=SESSION))
    socket.send(pack_json(Kind.DEFS, [[k, f"s{k}", {}] for k in range(SERIES)], session=SESSION))
    bodies = [_body(size, first) for first in range(SERIES)]
    head, now = HEADER.pack, time.time()
    for seq in range(samples // size):
        frame = head(MAGIC, VERSION, Kind.DATA, size, SESSION, seq, now + seq * 1e-6)
        socket.send(frame + bodies[seq % SERIES])
    while True:
        socket.send(pack(Kind.PONG, session=SESSION, seq=samples // size))
        time.sleep(0.5)


def _body(size: int, first: int) -> bytes:
    records = [RECORD.pack((first + k) % SERIES, 0, -1, float(k)) for k in range(size)]
    assert len(records[0]) == struct.calcsize("<IIqd")
    return b"".join(records)


def logger() -> None:
    """Log LOGGED times without a pause."""
    import llmtop

    run = llmtop.init("bench")
    time.sleep(1.5)
    for i in range(LOGGED):
        run.log({"loss": 0.5}, step=i)
    time.sleep(GIVE_UP_SECONDS / 10)
    run.finish()


if __name__ == "__main__":
    jobs = {"receive": receive, "send": send, "log": log, "logger": logger}
    jobs[sys.argv[1]](*map(int, sys.argv[2:]))
