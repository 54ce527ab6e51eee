"""A real hub behind bad lines, under strangers, restarted and robbed of its socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq
from losing import LosingProxy

from conftest import Listening
from llmtop.clock import SystemClock
from llmtop.sources.rendezvous import new_socket_path, sweep
from llmtop.wire import Kind, pack

Publisher = Callable[..., subprocess.Popen[str]]

PACED = """
import sys, time, llmtop
run = llmtop.init("trainer", total_steps=10**6)
step = 0
for line in sys.stdin:
    if line == "end\\n":
        break
    upto = int(line)
    while step < upto:
        run.log({"loss": 1.0 / (1 + step), "lr": step / 7}, step=step)
        step += 1
        if step % 200 == 0:
            time.sleep(0.03)
"""
"""Logs up to the step it is told, a frame at a time; "end" ends it."""


def go(process: subprocess.Popen[str], upto: int | str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{upto}\n")
    process.stdin.flush()


def exact(listening: Listening, steps: int) -> None:
    """Check that every point up to `steps` is there, once, as it was logged."""
    for name, value in (("loss", lambda step: 1.0 / (1 + step)), ("lr", lambda step: step / 7)):
        (series,) = listening.all(name)
        assert series.n == steps
        held = series.window(steps)
        assert held.step.tolist() == list(range(steps - len(held.step), steps))
        assert held.value.tolist() == [value(step) for step in held.step.tolist()]
        assert series.sum == pytest.approx(sum(map(value, range(steps))), rel=1e-12)
    assert listening.store.dropped == 0


def socket_of(rendezvous: Path) -> Path:
    (path,) = rendezvous.glob("mon-*.sock")
    return path


@pytest.fixture
def other() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as directory:
        yield Path(directory)


def test_over_a_line_that_loses_frames_everything_arrives_in_the_end(
    listening: Listening, rendezvous: Path, other: Path, publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    listening.until(lambda: list(rendezvous.glob("mon-*.sock")))
    with LosingProxy(other, socket_of(rendezvous), seed=2) as proxy:
        monkeypatch.setenv("LLMTOP_DIR", str(other))
        process = publisher(PACED)
        go(process, 6000)
        listening.reaches(5999)
        exact(listening, 6000)
        assert proxy.lost.count(Kind.DATA) > 3
        go(process, 6001)
        listening.reaches(6000)
        go(process, "end")
        listening.until(lambda: listening.run().state == "finished")
    exact(listening, 6001)


def test_a_restarted_hub_has_the_whole_run(
    listening: Listening, rendezvous: Path, publisher: Publisher
) -> None:
    process = publisher(PACED)
    go(process, 1000)
    listening.reaches(999)
    listening.engine.stop()
    assert list(rendezvous.glob("mon-*")) == []
    go(process, 2000)
    again = Listening()
    try:
        again.reaches(1999)
        exact(again, 2000)
        go(process, 3000)
        again.reaches(2999)
        exact(again, 3000)
        assert again.run().state == "live"
    finally:
        again.engine.stop()


def test_a_hub_whose_socket_was_removed_says_so_and_goes_on_without_a_gap(
    listening: Listening, rendezvous: Path, publisher: Publisher
) -> None:
    process = publisher(PACED)
    go(process, 1000)
    listening.reaches(999)
    path = socket_of(rendezvous)
    path.unlink()
    state = listening.engine.source_states[0]
    listening.until(lambda: state.state == "lost")
    assert state.reason == f"{path} was removed"
    go(process, 2000)
    listening.reaches(1999)
    exact(listening, 2000)
    assert state.state == "ok"
    assert listening.run().attempt == 1


def test_connections_that_say_nothing_hold_nobody_up(
    listening: Listening, rendezvous: Path, publisher: Publisher
) -> None:
    listening.until(lambda: list(rendezvous.glob("mon-*.sock")))
    path = socket_of(rendezvous)
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        for _ in range(50):
            # One does not even greet, the other never speaks.
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(path))
            dealer = stack.enter_context(context.socket(zmq.DEALER))
            dealer.linger = 0
            dealer.connect(f"ipc://{path}")
        process = publisher(PACED)
        go(process, 1000)
        listening.reaches(999)
        exact(listening, 1000)
    assert listening.hub.bad == 0


def test_a_message_of_very_many_parts_is_read_to_its_end_and_counts_once(
    listening: Listening, rendezvous: Path, publisher: Publisher
) -> None:
    listening.until(lambda: list(rendezvous.glob("mon-*.sock")))
    process = publisher(PACED)
    go(process, 400)
    listening.reaches(399)
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.connect(f"ipc://{socket_of(rendezvous)}")
        for at in range(20_000):
            stranger.send(b"part %d" % at, zmq.SNDMORE)
        stranger.send(b"the last")
        stranger.send_multipart([b"", b"x"])
        # Only the first part of a message is looked at, so that this is one known kind, and good.
        stranger.send_multipart([pack(Kind.PING), b"more", pack(Kind.PING)])
        go(process, 800)
        listening.until(lambda: listening.hub.bad == 2)
    listening.reaches(799)
    exact(listening, 800)
    assert listening.hub.bad == 2


def test_nonsense_of_all_sorts_is_counted_and_hurts_no_run(
    listening: Listening, rendezvous: Path, publisher: Publisher
) -> None:
    listening.until(lambda: list(rendezvous.glob("mon-*.sock")))
    process = publisher(PACED)
    go(process, 200)
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.connect(f"ipc://{socket_of(rendezvous)}")
        for _ in range(3000):
            stranger.send(os.urandom(64))
        stranger.send(bytes(1 << 20))
        go(process, 400)
        listening.until(lambda: listening.hub.bad >= 3001)
    listening.reaches(399)
    exact(listening, 400)


def test_a_plain_dealer_that_sends_json_is_a_run(listening: Listening, rendezvous: Path) -> None:
    listening.until(lambda: list(rendezvous.glob("mon-*.sock")))
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.connect(f"ipc://{socket_of(rendezvous)}")
        for step in range(100):
            sample = {"run": "five lines", "step": step, "loss": 1 / (1 + step), "gpu": {"t": 60}}
            client.send_string(json.dumps(sample))
        run = listening.reaches(99)
        assert run.name == "five lines"
        (loss,) = run.find("loss")
        assert loss.window(100).value.tolist() == [1 / (1 + step) for step in range(100)]
        (warm,) = run.find("gpu/t")
        assert (warm.n, warm.min, warm.max) == (100, 60.0, 60.0)
        # Nothing is answered: a client that never reads fills nothing up.
        assert not client.poll(200)
    assert (listening.store.dropped, listening.hub.bad) == (0, 0)


def test_dead_sockets_are_swept_when_a_hub_begins(rendezvous: Path) -> None:
    def bound(name: str, *, listens: bool, old: bool) -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(rendezvous / name))
        if listens:
            one.listen(1)
        if old:
            os.utime(rendezvous / name, (0, 0))
        return one

    bound("mon-1-dead.sock", listens=False, old=True).close()
    bound("mon-2-young.sock", listens=False, old=False).close()
    bound("other.sock", listens=False, old=True).close()
    (rendezvous / "mon-3-file.sock").write_text("mine")
    os.utime(rendezvous / "mon-3-file.sock", (0, 0))
    with bound("mon-4-live.sock", listens=True, old=True):
        listening = Listening()
        listening.until(lambda: not (rendezvous / "mon-1-dead.sock").exists())
        listening.until(lambda: len(list(rendezvous.glob("mon-*.sock"))) == 4)
        listening.engine.stop()
        assert sweep(rendezvous, SystemClock()) == 0
    assert sorted(path.name for path in rendezvous.iterdir()) == [
        "mon-2-young.sock", "mon-3-file.sock", "mon-4-live.sock", "other.sock"
    ]


def test_sockets_have_names_of_their_own(rendezvous: Path) -> None:
    paths = {new_socket_path(rendezvous) for _ in range(100)}
    assert len(paths) == 100
