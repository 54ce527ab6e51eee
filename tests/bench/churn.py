"""A day of a relay, compressed: publishers come, fork and die, viewers come and go.

Each publisher is a process that logs, forks one that logs too, and says good-bye or is killed; a
day that sees one a minute has as many as are made here. What is bounded has small bounds, so that
they are reached early and what grows after that is a leak.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.children import answer, free_address, rendezvous, resident_mb, start, tell
from tests.bench.table import Row, below

SECONDS = float(os.environ.get("LLMTOP_BENCH_CHURN_SECONDS", 240))
PER_DAY = 1440
WARM = 0.4
"""Part of the time after which everything that is bounded should have reached its bound."""
MEMORY = 16 << 20
LOG_BYTES = 1 << 20
KNOWN = 200
"""Sessions and connections that are remembered."""
AT_ONCE = 6
STEPS = 60
GROWTH_MB = 5.0
SPARE_DESCRIPTORS = 12
"""Connections that just come or go when it is counted."""


def churn() -> Iterator[Row]:
    """Yield what grew."""
    with rendezvous() as env:
        env["LLMTOP_KEYS"] = f"{env['LLMTOP_DIR']}/keys"
        said = answer("churn", "serve", str(SECONDS), env=env, timeout=SECONDS + 60).split()
    if not said:
        yield Row("a relay among publishers that come, fork and die", "failed", "no failure", False)
        return
    publishers, viewers, before, after, opened, still, threads, lost = map(float, said)
    yield Row(f"publishers that came, forked and went in {SECONDS:.0f} s", f"{publishers:,.0f}",
              f"{publishers / PER_DAY * 24:,.0f} h at one a minute")
    yield Row("  viewers that came and went", f"{viewers:,.0f}")
    yield Row("  samples lost", f"{lost:,.0f}", "0", not lost)
    yield below("  memory grew by", after - before, GROWTH_MB, f"MB of {before:.0f}")
    yield below("  descriptors grew by", still - opened, SPARE_DESCRIPTORS, f"of {opened:.0f}", 0)
    yield below("  threads at the end", threads, 8, "", 0)


def serve(seconds: float) -> None:
    """Be the relay."""
    from llmtop import keys
    from llmtop.clock import SystemClock
    from llmtop.relay import channels, log, peers
    from llmtop.relay.listener import Listener
    from llmtop.relay.relay import Relay
    from llmtop.relay.zap import Guard
    from llmtop.sources import known
    from llmtop.store import sessions

    channels.MAX_CHANNELS = known.MAX_SESSIONS = known.MAX_STRANGERS = peers.MAX_PEERS = KNOWN
    sessions.MAX_SESSIONS = KNOWN
    # The default of an argument is made when the function is.
    log.Log.__init__.__defaults__ = (LOG_BYTES,)  # type: ignore[misc]
    pair = keys.new_pair()
    address, clock = free_address(), SystemClock()
    listener = Listener(address, clock=clock, guard=Guard(pair))
    relay = Relay([], [listener], clock, memory_bytes=MEMORY)
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    listener.listening.wait()
    where = f"{address}?key={pair.public}"
    env = {**os.environ, "LLMTOP_ENDPOINT": where}
    crowd = start("churn", "crowd", env=env)
    audience = start("churn", "audience", where, env=env)
    time.sleep(seconds * WARM)
    before, opened = resident_mb(), _descriptors()
    if os.environ.get("LLMTOP_BENCH_CHURN_WATCH"):
        _watch(relay, seconds * (1 - WARM))
    else:
        time.sleep(seconds * (1 - WARM))
    after, still = resident_mb(), _descriptors()
    threads = len(os.listdir("/proc/self/task"))
    counts = []
    for child in (crowd, audience):
        child.send_signal(signal.SIGTERM)
        counts.append(int(child.communicate(timeout=30)[0].split()[-1]))
    tell(*counts, before, after, opened, still, threads, relay.engine.store.dropped)
    stop.set()
    thread.join()


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _watch(relay: object, seconds: float) -> None:
    """Say now and then what there is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(10)
        store = relay.engine.store  # type: ignore[attr-defined]
        print(f"{resident_mb():.1f} MB, {_descriptors()} fds, {len(store.series)} series, "
              f"{len(store.runs)} runs, {len(relay.channels.all)} channels, "  # type: ignore[attr-defined]
              f"log {relay.channels.log.bytes >> 20} MB, "  # type: ignore[attr-defined]
              f"used {store.memory_used >> 20} MB", flush=True)


def crowd() -> None:
    """Be AT_ONCE publishers at any time, each forked from here before llmtop has threads."""
    import llmtop  # noqa: F401
    from llmtop.publish import current  # noqa: F401

    made, stop, living = 0, _until_terminated(), set()
    while not stop.is_set():
        while len(living) < AT_ONCE:
            made += 1
            child = os.fork()
            if not child:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                _publish(made)
            living.add(child)
        pid, _ = os.wait()
        living.discard(pid)
    for pid in living:
        os.waitpid(pid, 0)
    print(made, flush=True)


def _publish(number: int) -> None:
    """Be one publisher: log, fork one that logs too, and end in one way or another."""
    import llmtop

    run = llmtop.init(f"run {number % 40}", tags={"number": number})
    for step in range(STEPS):
        run.log({"loss": 1.0 / (step + 1), "lr": 0.1, f"own_{number % 7}": 1.0}, step=step)
        time.sleep(0.005)
    child = os.fork()
    if not child:
        # What a worker of a data loader logs is of a session of its own.
        for step in range(STEPS):
            llmtop.log({"loaded": float(step)}, step=step)
        llmtop.finish()
        os._exit(0)
    os.waitpid(child, 0)
    if number % 3:
        llmtop.finish()
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def audience(where: str) -> None:
    """Be viewers, one after the other and two at a time."""
    from llmtop.clock import SystemClock
    from llmtop.engine import Engine
    from llmtop.sources.attach import Attach
    from llmtop.store import Store

    stop, count = _until_terminated(), 0
    while not stop.is_set():
        viewers = [
            Engine(Store(memory_bytes=16 << 20), [Attach(where, clock=SystemClock())],
                   SystemClock(), rules=False)
            for _ in range(2)
        ]  # fmt: skip
        for one in viewers:
            one.start()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            for one in viewers:
                one.pump(time.time())
            time.sleep(0.1)
        for one in viewers:
            one.stop()
        count += len(viewers)
    print(count, flush=True)


def _until_terminated() -> threading.Event:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    assert Path.cwd().joinpath("tests/bench").exists()
    jobs = {"serve": lambda s: serve(float(s)), "crowd": crowd, "audience": audience}
    jobs[sys.argv[1]](*sys.argv[2:])
