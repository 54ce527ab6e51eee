"""Whoever was away is back by itself, has everything, and has nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq
from cable import Cable

from llmtop.publish.current import init
from llmtop.sources import hub

VIEWER = """
import sys, time
from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.sources.attach import Attach
from llmtop.store import Store
engine = Engine(Store(memory_bytes=64 << 20), [Attach(sys.argv[1], clock=SystemClock())],
                SystemClock(), rules=False)
engine.start()
told = None
while True:
    engine.pump(time.time())
    loss = next((one for one in engine.store.series if one.name == "loss"), None)
    now = [loss.n, loss.sum] if loss else [0, 0.0]
    now += [engine.store.dropped, engine.source_states[0].state]
    if now != told:
        print(*now, flush=True)
        told = now
    time.sleep(0.02)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a connection that says nothing be given up at once."""
    monkeypatch.setitem(hub.OPTIONS, zmq.HEARTBEAT_IVL, 100)
    monkeypatch.setitem(hub.OPTIONS, zmq.HEARTBEAT_TIMEOUT, 300)


def test_a_viewer_that_slept_catches_up(serve, address: str, quick: None) -> None:
    serving = serve(address)
    run = init("night", endpoint=address)
    for step in range(1000):
        run.log({"loss": float(step)}, step=step)
    with subprocess.Popen(
        [sys.executable, "-c", VIEWER, address], stdout=subprocess.PIPE, text=True
    ) as viewer:
        try:
            said = (line.split() for line in iter(viewer.stdout.readline, ""))
            assert next(n for n, *_ in said if n == "1000")
            os.kill(viewer.pid, signal.SIGSTOP)
            # Its connection is given up meanwhile.
            while serving.relay.viewers:
                time.sleep(0.05)
            for step in range(1000, 2000):
                run.log({"loss": float(step)}, step=step)
            os.kill(viewer.pid, signal.SIGCONT)
            after = [next(said)]
            while after[-1][0] != "2000":
                after.append(next(said))
            assert float(after[-1][1]) == sum(range(2000))
            assert {tuple(rest) for _, _, *rest in after} == {("0", "ok")}
        finally:
            viewer.kill()


def test_a_line_that_went_dead_without_a_word_is_given_up(
    serve, view, address: str, quick: None
) -> None:
    serve(address)
    run = init("wireless", endpoint=address)
    run.log({"loss": 0.0}, step=0)
    cable = Cable(address)
    viewer = view(cable.address)
    try:
        viewer.until(lambda: viewer.has("wireless", "loss", 1))
        cable.lose()
        for step in range(1, 500):
            run.log({"loss": float(step)}, step=step)
        viewer.until(lambda: viewer.has("wireless", "loss", 500))
        assert viewer.series("wireless", "loss").sum == sum(range(500))
        assert viewer.store.dropped == 0
    finally:
        cable.close()


def test_a_relay_that_has_moved_is_found_where_its_name_leads(
    serve, view, address: str, rendezvous: Path
) -> None:
    first, second = Cable(address), None
    before = serve(address)
    run = init("moved", endpoint=first.address)
    viewer = view(first.address)
    try:
        for step in range(300):
            run.log({"loss": float(step)}, step=step)
        viewer.until(lambda: viewer.has("moved", "loss", 300))
        first.cut()
        before.stop()
        with zmq.Context() as context, context.socket(zmq.ROUTER) as probe:
            second = f"tcp://127.0.0.1:{probe.bind_to_random_port('tcp://127.0.0.1')}"
        after = serve(second)
        first.lead_to(second)
        first.mend()
        for step in range(300, 600):
            run.log({"loss": float(step)}, step=step)
        viewer.until(lambda: viewer.has("moved", "loss", 600))
        for store in (viewer.store, after.store):
            (loss,) = [one for one in store.series if one.name == "loss"]
            assert (loss.n, loss.sum, store.dropped) == (600, sum(range(600)), 0)
            assert [one.attempt for one in store.runs] == [1]
    finally:
        first.close()


def test_a_clock_that_falls_back_an_hour_loses_nothing(
    serve, view, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, shift = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    serve(address)
    run = init("back", endpoint=address)
    viewer = view(address)
    for step in range(200):
        run.log({"loss": float(step)}, step=step)
    viewer.until(lambda: viewer.has("back", "loss", 200))
    for hour in (-3600.0, 3600.0):
        shift[0] += hour
        first = viewer.series("back", "loss").n
        for step in range(first, first + 200):
            run.log({"loss": float(step)}, step=step)
        viewer.until(lambda first=first: viewer.has("back", "loss", first + 200))
        assert viewer.run("back").state == "live"
    late = view(address)
    late.until(lambda: late.has("back", "loss", 600))
    for one in (viewer, late):
        assert one.series("back", "loss").n == 600
        assert one.series("back", "loss").sum == sum(range(600))
        assert (one.run("back").attempt, one.store.dropped) == (1, 0)
