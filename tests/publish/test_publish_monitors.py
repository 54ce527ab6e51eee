"""Monitors that come late, go, are stopped or killed, come back or lose frames on the way."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import zmq
from listener import Heard, Listener

import llmtop
from llmtop.publish import session
from llmtop.publish.inbox import Inbox
from llmtop.publish.link import Link
from llmtop.publish.session import Session
from llmtop.wire import DROPPED_NAME, Kind, pack, unpack

Start = Callable[..., subprocess.Popen[str]]
HERE = Path(__file__).parent

MONITOR = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from listener import Listener
with Listener(Path(sys.argv[2])) as hub:
    print("ready", flush=True)
    last = float(sys.argv[3])
    heard = hub.hear(lambda heard: heard.values("a")[-1:] == [last])
    print(json.dumps(heard.points("a")), flush=True)
"""
"""A monitor in a process of its own: says when it has read up to the value given."""


def monitor(script: Start, rendezvous: Path, last: int) -> subprocess.Popen[str]:
    process = script(MONITOR, str(HERE), str(rendezvous), str(last))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def points(stop: int, start: int = 0) -> list[tuple[int, float]]:
    return [(step, float(step)) for step in range(start, stop)]


def log(run: llmtop.Run, start: int, stop: int) -> None:
    for step in range(start, stop):
        run.log({"a": float(step)}, step=step)


def small_ring(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(session, "RING_BYTES", size)


def drained(run: llmtop.Run) -> None:
    """Wait until all that is queued is in the ring."""
    deadline = time.monotonic() + 15
    while not run._stream.session.empty:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_monitor_that_comes_after_the_run_began_gets_all_of_it(rendezvous: Path) -> None:
    run = llmtop.init("early", total_steps=300)
    log(run, 0, 200)
    run.event("saved")
    with Listener(rendezvous) as hub:
        hub.hear(lambda heard: len(heard.samples) >= 200)
        log(run, 200, 300)
        heard = hub.hear(lambda heard: len(heard.samples) >= 300)
    assert heard.points("a") == points(300)
    assert heard.texts("info") == ["saved"]
    assert heard.hellos[0]["first_seq"] == 0


def test_a_second_and_a_restarted_monitor_get_the_same(rendezvous: Path) -> None:
    run = llmtop.init()
    with Listener(rendezvous) as first, Listener(rendezvous) as second:
        log(run, 0, 100)
        one = first.hear(lambda heard: len(heard.samples) == 100)
        other = second.hear(lambda heard: len(heard.samples) == 100)
        assert one.samples == other.samples
        first.close()
        log(run, 100, 150)
        second.hear(lambda heard: len(heard.samples) == 150)
        with Listener(rendezvous) as again:
            heard = again.hear(lambda heard: len(heard.samples) == 150)
            log(run, 150, 160)
            again.hear(lambda heard: len(heard.samples) == 160)
            second.hear(lambda heard: len(heard.samples) == 160)
    assert heard.samples == other.samples
    assert heard.points("a") == points(160)


def test_a_late_monitor_gets_the_shape_of_the_past_and_the_rest_exactly(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_ring(monkeypatch, 60_000)
    run = llmtop.init()
    total = 20_000
    spikes = {7: 1e6, 7777: -1e6}
    ttft = run.distribution("ttft_seconds")
    for step in range(total):
        run.log({"a": spikes.get(step, float(step)), "odd": math.nan if step == 99 else 1.0}, step)
        ttft.observe(step / 1000)
    drained(run)
    with Listener(rendezvous) as hub:
        heard = hub.hear(lambda heard: heard.values("ttft_seconds")[-1:] == [(total - 1) / 1000])
    recent = heard.points("a")
    first = recent[0][0]
    assert 0 < len(recent) < total / 2
    assert recent == points(total, first)
    assert heard.order.index(Kind.BUCKETS) < heard.order.index(Kind.DATA)
    sid = next(sid for sid, name in heard.names.items() if name == "a")
    old = [bucket for bucket in heard.buckets if bucket[0] == sid]
    assert sum(bucket[1] for bucket in old) == first
    assert (old[0][4], old[-1][5]) == (0, first - 1)
    assert all(before[5] + 1 == after[4] for before, after in pairwise(old))
    assert max(bucket[8] for bucket in old) == 1e6
    assert min(bucket[7] for bucket in old) == -1e6
    expected = sum(spikes.get(step, float(step)) for step in range(first))
    assert sum(bucket[6] for bucket in old) == pytest.approx(expected)
    nans = [b for b in heard.buckets if math.isnan(b[8])]
    assert [(b[1], b[4], heard.names[b[0]]) for b in nans] == [(1, 99, "odd")]
    observed = len(heard.values("ttft_seconds"))
    assert sum(heard.bins["ttft_seconds"].values()) == total - observed
    assert heard.dropped == 0
    assert heard.values(DROPPED_NAME) == []


def test_frames_lost_on_the_way_are_sent_again_in_order(rendezvous: Path) -> None:
    with Listener(rendezvous, lose=(0, 2, 3, 5)) as hub:
        run = llmtop.init()
        for part in range(8):
            log(run, part * 10, part * 10 + 10)
            drained(run)
        heard = hub.hear(lambda heard: len(heard.samples) == 80)
    assert heard.points("a") == points(80)
    assert heard.gaps >= 1
    assert heard.dropped == 0


def test_a_lost_last_frame_is_betrayed_by_the_sign_of_life(rendezvous: Path) -> None:
    with Listener(rendezvous, lose=(1,)) as hub:
        run = llmtop.init()
        log(run, 0, 10)
        hub.hear(lambda heard: len(heard.samples) == 10)
        log(run, 10, 20)
        heard = hub.hear(lambda heard: len(heard.samples) == 20)
    assert heard.points("a") == points(20)


def test_what_left_the_ring_before_a_replay_is_told_as_lost(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        log(run, 0, 10)
        heard = hub.hear(lambda heard: len(heard.samples) == 10)
        # As if the connection had lost what follows, while the ring went on.
        heard.expected = 10**6
        log(run, 10, 5000)
        drained(run)
        ring = run._stream.session.ring
        hub.until(lambda: heard.order.count(Kind.DATA) == ring.next)
        ring._size = 30_000
        heard.expected = 1
        run.log({"b": 1.0}, step=5000)
        hub.hear(lambda heard: heard.values("b"))
    got = heard.points("a")
    assert got[:10] == points(10)
    assert got[10:] == points(5000, got[10][0])
    assert heard.dropped == 5000 - len(got)
    assert heard.dropped > 0


def test_a_stopped_monitor_holds_nothing_up_and_catches_up(
    rendezvous: Path, script: Start
) -> None:
    total = 20_000
    run = llmtop.init()
    stopped = monitor(script, rendezvous, total - 1)
    with Listener(rendezvous) as hub:
        log(run, 0, 100)
        hub.hear(lambda heard: len(heard.samples) == 100)
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            for start in range(100, total, 1990):
                log(run, start, min(start + 1990, total))
                drained(run)
            heard = hub.hear(lambda heard: heard.points("a")[-1:] == [(total - 1, total - 1.0)])
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        assert heard.points("a") == points(total)
        assert stopped.stdout is not None
        late = json.loads(stopped.stdout.readline())
    assert [tuple(point) for point in late] == points(total)


def test_a_killed_monitor_is_forgotten_and_the_next_gets_everything(
    rendezvous: Path, script: Start
) -> None:
    run = llmtop.init()
    killed = monitor(script, rendezvous, 10**9)
    (path,) = rendezvous.glob("mon-*.sock")
    log(run, 0, 500)
    drained(run)
    killed.kill()
    killed.wait()
    assert path.exists()
    log(run, 500, 1000)
    with Listener(rendezvous) as hub:
        heard = hub.hear(lambda heard: len(heard.samples) == 1000)
        # An old socket that refuses is unlinked by whoever looks.
        os.utime(path, (0, 0))
        hub.until(lambda: not path.exists())
        log(run, 1000, 1010)
        hub.hear(lambda heard: len(heard.samples) == 1010)
    assert heard.points("a") == points(1010)


def test_a_monitor_that_forgot_the_session_is_told_everything_again(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        log(run, 0, 50)
        hub.hear(lambda heard: len(heard.samples) == 50)
        time.sleep(0.6)  # a second question within half a second counts as an echo
        hub.sessions.clear()
        log(run, 50, 60)
        heard = hub.hear(lambda heard: len(heard.samples) == 60)
    assert heard.points("a") == points(60)
    assert heard.order[0] == Kind.HELLO


def test_an_endpoint_elsewhere_is_served_too(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listener(address="tcp://127.0.0.1:*") as relay, Listener(rendezvous) as hub:
        monkeypatch.setenv("LLMTOP_ENDPOINT", relay.address)
        run = llmtop.init()
        log(run, 0, 30)
        for one in (relay, hub):
            assert one.hear(lambda heard: len(heard.samples) == 30).points("a") == points(30)


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://", "ipc://" + "x" * 300, "tcp://no\x00"])
def test_an_endpoint_that_is_none_is_told_and_hurts_nothing(
    rendezvous: Path, endpoint: str
) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init(endpoint=endpoint)
        run.log({"a": 1.0})
        heard = hub.hear(lambda heard: heard.samples and heard.texts("warning"))
    assert heard.values("a") == [1.0]
    assert "is no endpoint" in heard.texts("warning")[0]


def test_a_socket_that_only_accepts_hurts_nobody(rendezvous: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(rendezvous / "mon-1-silent.sock"))
        silent.listen(1)
        (rendezvous / "mon-2-file.sock").write_text("no socket")
        with Listener(rendezvous) as hub:
            run = llmtop.init()
            log(run, 0, 20)
            heard = hub.hear(lambda heard: len(heard.samples) == 20)
            started = time.monotonic()
            run.finish()
            assert time.monotonic() - started < 5
    assert heard.points("a") == points(20)


def test_a_monitor_that_asks_and_asks_finds_one_answer_waiting(rendezvous: Path) -> None:
    session = Session(Inbox(), {"name": "r"})
    with Listener(rendezvous) as hub, zmq.Context() as context:
        link = Link(context, hub.address, session)
        hub.until(lambda: link.pump(time.monotonic()) or link.open)
        hub.until(lambda: link.pump(time.monotonic()) or hub.sessions)
        ping = unpack(pack(Kind.PING, session=session.id))
        for _ in range(100):
            link._answer(ping, time.monotonic())
        assert len(link._outbox) == 1
        heard = hub.only()
        hub.until(lambda: link.pump(time.monotonic()) or heard.order[-1] == Kind.PONG)
        # The next question has an answer of its own.
        link._answer(ping, time.monotonic())
        assert len(link._outbox) == 1
        link.close()


def test_no_monitor_ever_keeps_memory_within_bounds_and_counts_what_was_dropped(
    rendezvous: Path, script: Start
) -> None:
    """Every sample is in a bucket, in the ring or counted; memory stays a fraction of it all."""
    process = script("""
import resource, sys
import llmtop
run = llmtop.init()
run.log({"a": 0.0})
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
wide = {f"w{at}": 1.0 for at in range(100)}
for step in range(600_000):
    run.log({"a": 1.0})
for step in range(15_000):
    run.log(wide)
    run.event("x" * 100_000)
    run.log({"text": "y" * 100_000})
print(peak() - before, flush=True)
sys.stdin.readline()
""")
    assert process.stdout is not None
    grown = int(process.stdout.readline())
    assert grown < 250_000, f"grew by {grown} kB"

    def total(heard: Heard) -> float:
        sids = {sid for sid, name in heard.names.items() if name == "a" or name[0] == "w"}
        folded = sum(bucket[1] for bucket in heard.buckets if bucket[0] in sids)
        exact = sum(1 for sample in heard.samples if sample[0] == "a" or sample[0][0] == "w")
        zero = next((sid for sid, name in heard.names.items() if name == DROPPED_NAME), None)
        dropped = sum(bucket[6] for bucket in heard.buckets if bucket[0] == zero)
        return folded + exact + dropped + sum(heard.values(DROPPED_NAME))

    with Listener(rendezvous) as hub:
        hub.hear(lambda heard: total(heard) >= 600_001 + 1_500_000)
