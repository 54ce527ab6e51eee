"""How soon all is there: after a restart of a relay, for a late viewer, by ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tests.bench.children import answer, free_address, rendezvous, start, tell
from tests.bench.relay import METRICS, PROCESSES, RANKS, _child
from tests.bench.table import Row, below

from llmtop import keys
from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.relay.listener import Listener
from llmtop.relay.relay import Relay
from llmtop.relay.zap import Guard
from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo
from llmtop.sources.attach import Attach
from llmtop.sources.ssh import Ssh
from llmtop.store import Store

MEMORY = 512 << 20
SERIES, PIECE, SAMPLES = 20, 100_000, 10_000_000
BEFORE_SECONDS, GIVE_UP_SECONDS = 8.0, 60.0


def late() -> Iterator[Row]:
    """Yield all of them."""
    with rendezvous() as env:
        env["LLMTOP_KEYS"] = f"{env['LLMTOP_DIR']}/keys"
        there, whole, doubled, lost = _numbers(answer("late", "restart", env=env), 4)
    yield below(f"a restarted relay has {RANKS} ranks again after", there, 15.0, "s")
    yield below("  and all their history after", whole, 15.0, "s")
    yield Row("  samples doubled, and lost", f"{doubled:,.0f}, {lost:,.0f}", "0, 0 lost",
              not doubled and not lost)
    with rendezvous() as env:
        first, complete, came = _numbers(answer("late", "long", env=env), 3)
    yield below(f"a late viewer of {SAMPLES:,} samples: first picture", first, 1.0, "s", 2)
    yield below("  complete", complete, 10.0, "s", 2)
    yield Row("  samples in it", f"{came:,.0f}", f"{SAMPLES:,}", came == SAMPLES)
    if shutil.which("ssh") and shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"):
        with rendezvous() as env:
            (first,) = _numbers(answer("late", "far", env=env), 1)
        yield below("ssh: first picture, from before ssh is started", first, 1.5, "s", 2)


def _numbers(said: str, count: int) -> list[float]:
    return [*map(float, said.split())] or [float("inf")] * count


def restart() -> None:
    """Run a relay for RANKS ranks, and then another in its place."""
    pair, clock = keys.new_pair(), SystemClock()
    address = free_address()
    children = [_child("ranks", f"{address}?key={pair.public}", str(k)) for k in range(PROCESSES)]
    for life in range(2):
        relay = Relay([], [Listener(address, clock=clock, guard=Guard(pair))], clock,
                      memory_bytes=MEMORY)
        stop, began = threading.Event(), time.monotonic()
        thread = threading.Thread(target=relay.run, args=(stop,))
        thread.start()
        store = relay.engine.store
        _until(lambda store=store: store.runs and len(store.runs[0].ranks) == RANKS)
        there = time.monotonic() - began
        if not life:
            time.sleep(BEFORE_SECONDS)
        else:
            _until(lambda store=store: _whole(store))
            whole = time.monotonic() - began
            time.sleep(3.0)
        stop.set()
        thread.join()
    for child in children:
        child.kill()
        child.communicate()
    doubled = sum(max(one.n - (one.last.step + 1), 0) for one in store.series if one.last)
    tell(there, whole, doubled, store.dropped)


def _whole(store: Store) -> bool:
    """Tell whether every series has every step up to its last."""
    table = store._table
    n, last = table.n[: table.count], table.last_step[: table.count]
    return len(n) == RANKS * METRICS and bool((n == last + 1).all())


class Long:
    """A source of one run of SAMPLES samples."""

    name = "long"

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield all of it, and wait."""
        info = RunInfo("log", "long", started=1e9)
        series = tuple(SeriesInfo(k, "log", f"metric_{k}") for k in range(SERIES))
        yield Batch(runs=(info,), series=series)
        each = PIECE // SERIES
        for at in range(0, SAMPLES // SERIES, each):
            step = np.repeat(np.arange(at, at + each), SERIES)
            keys_of = np.tile(np.arange(SERIES, dtype=np.uint32), each)
            value = np.random.default_rng(at).normal(size=len(step))
            yield Batch(samples=Samples(keys_of, 1e9 + step * 0.25, step, value))
        yield Batch(caught_up=True)
        stop.wait()


def long() -> None:
    """Run a relay that has a long run, then a viewer in a process of its own."""
    clock, address = SystemClock(), free_address()
    relay = Relay([Long()], [Listener(address, clock=clock)], clock, memory_bytes=MEMORY)
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    _until(lambda: relay.engine.store.samples == SAMPLES)
    with start("late", "watch", address, env=dict(os.environ)) as viewer:
        said, _ = viewer.communicate(timeout=GIVE_UP_SECONDS)
    tell(*said.split()[1:])
    stop.set()
    thread.join()


def watch(address: str) -> None:
    """Attach; tell when the first points came, when all had come, and how many."""
    engine = Engine(Store(memory_bytes=MEMORY), [Attach(address, clock=SystemClock())],
                    SystemClock())
    first, complete = _attach(engine)
    tell(first, complete, sum(one.n for one in engine.store.series if not one.derived))
    os._exit(0)


def _attach(engine: Engine) -> tuple[float, float]:
    """Return the seconds until the first points, and until everything is there."""
    began, first = time.monotonic(), float("inf")
    engine.start()
    while time.monotonic() - began < GIVE_UP_SECONDS:
        engine._arrived.wait(0.05)
        engine._arrived.clear()
        engine.pump(time.time())
        if first == float("inf") and any(one.n for one in engine.store.series):
            first = time.monotonic() - began
        if engine.caught_up and first < float("inf"):
            break
    return first, time.monotonic() - began


def far() -> None:
    """Watch, by ssh, a run on this machine."""
    from tests.sources.test_ssh import SCRIPT, Remote

    folder = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    remote = Remote(folder)
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, text=True,
        env={**os.environ, "LLMTOP_DIR": str(remote.rendezvous)},
    )  # fmt: skip
    assert run.stdin is not None
    run.stdin.write("1000\n")
    run.stdin.flush()
    time.sleep(1.0)
    source = Ssh(remote.address, clock=SystemClock(), program=remote.program)
    engine = Engine(Store(memory_bytes=MEMORY), [source], SystemClock())
    first, _ = _attach(engine)
    engine.stop()
    run.kill()
    remote.close()
    shutil.rmtree(folder)
    tell(first)


def _until(condition: object) -> None:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while not condition() and time.monotonic() < give_up:  # type: ignore[operator]
        time.sleep(0.05)


if __name__ == "__main__":
    jobs = {"restart": restart, "long": long, "watch": watch, "far": far}
    jobs[sys.argv[1]](*sys.argv[2:])
