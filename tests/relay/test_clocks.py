"""Clocks that differ: how far is told, through a relay too."""

from __future__ import annotations

import time

import pytest
import zmq

from llmtop.publish.current import init
from llmtop.wire import Kind, pack, pack_json


def test_a_viewer_is_told_how_far_the_clock_of_a_publisher_is_off(
    serve, view, address: str
) -> None:
    serve(address)
    viewer = view(address)
    viewer.until(lambda: not viewer.engine.reading)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(address)
        about = {"role": "publisher", "name": "late", "host": "node-7", "pid": 1, "rank": 0,
                 "world_size": 2, "started": time.time() - 90, "first_seq": 0}
        socket.send(pack_json(Kind.HELLO, about, session=7))
        socket.send(pack(Kind.PONG, session=7, seq=0, t0=time.time() - 90))
        viewer.until(lambda: (run := viewer.run("late")) and run.clock_off())
        worst = viewer.run("late").clock_off()
    assert worst.host == "node-7"
    assert worst.ahead == pytest.approx(-90, abs=2)


def test_a_publisher_tells_its_time_and_one_on_this_machine_is_not_off(
    serve, view, address: str
) -> None:
    serving = serve(address)
    run = init("here", endpoint=address)
    run.log({"loss": 1.0}, step=0)
    viewer = view(address)
    viewer.until(lambda: viewer.has("here", "loss", 1))
    (session,) = serving.listener.intake.sessions.values()
    viewer.until(lambda: session.clock._offsets)
    assert viewer.run("here").clock_off() is None
