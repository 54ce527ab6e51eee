"""File descriptors that are used up: the process goes on, and what it logged comes when it can."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from listener import Heard, Listener

from llmtop.wire import DROPPED_NAME

Start = Callable[..., subprocess.Popen[str]]

PREAMBLE = """
import os, resource, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
taken = []
def exhaust(spare=0):
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        for _ in range(spare):
            os.close(taken.pop())
def release():
    while taken:
        os.close(taken.pop())
def use(run, start):
    for step in range(start, start + 100):
        run.log({"a": float(step)}, step=step)
    run.log({"nested": {"b": 1}}, step=start + 99)
    run.observe("d", 1.0)
    run.count("c")
    run.event("e")
    with run.timer("t"):
        pass
def told(word):
    print(word, flush=True)
    sys.stdin.readline()
"""
SAMPLES = 104
"""What use() logs, its event left out."""


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()


def word(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def over(process: subprocess.Popen[str]) -> None:
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, ""), out


def reached(step: int) -> Callable[[Heard], bool]:
    return lambda heard: heard.points("a")[-1:] == [(step, float(step))]


def steps(start: int, stop: int) -> list[tuple[int, float]]:
    return [(step, float(step)) for step in range(start, stop)]


def test_with_none_left_at_first_use_every_call_is_silent_and_a_later_run_works(
    rendezvous: Path, script: Start
) -> None:
    """Not even the publisher's own files can be read then."""
    process = script(PREAMBLE + """
import llmtop
exhaust()
with llmtop.init("early", total_steps=5) as run:
    use(run, 0)
llmtop.log({"a": 1.0})
llmtop.finish()
release()
use(llmtop.init("late"), 100)
told("logged")
""")
    with Listener(rendezvous) as hub:
        heard = hub.hear(reached(199))
        assert word(process) == "logged"
        say(process)
        over(process)
    assert heard.hellos[0]["name"] == "late"
    assert heard.points("a") == steps(100, 200)


def test_a_run_begun_with_none_left_is_opened_once_there_are_some(
    rendezvous: Path, script: Start
) -> None:
    """pyzmq cannot be imported then: what is logged meanwhile is counted."""
    process = script(PREAMBLE + """
from llmtop import init
exhaust()
run = init("waiting")
use(run, 0)
assert run._inbox.state == "waiting", run._inbox.state
release()
while run._inbox.state != "open":
    time.sleep(0.05)
    run.log({"b": 1.0})
use(run, 100)
told("logged")
""")
    with Listener(rendezvous) as hub:
        heard = hub.hear(reached(199))
        hub.hear(lambda heard: heard.values(DROPPED_NAME))
        assert word(process) == "logged"
        say(process)
        over(process)
    assert heard.points("a") == steps(100, 200)
    assert sum(heard.values(DROPPED_NAME)) >= SAMPLES


def test_a_run_that_has_few_left_reaches_its_monitor_later_and_loses_nothing(
    rendezvous: Path, script: Start
) -> None:
    """libzmq aborts the process where it finds no descriptor: no number of them lets it."""
    spares = (1, 2, 4, 7, 8, 9, 12, 16, 20, 32, 40)
    source = PREAMBLE + """
from llmtop import init
import zmq
exhaust(int(sys.argv[1]))
run = init(sys.argv[1])
use(run, 0)
told("logged")
release()
use(run, 100)
told("released")
"""
    processes = {str(spare): script(source, str(spare)) for spare in spares}
    assert {name: word(process) for name, process in processes.items()} == dict.fromkeys(
        processes, "logged"
    )
    with Listener(rendezvous) as hub:
        def heard_of() -> dict[str, Heard]:
            return {heard.hellos[0]["name"]: heard for heard in hub.sessions.values()}

        # Those that have enough to connect with do so.
        hub.until(lambda: "40" in heard_of() and reached(99)(heard_of()["40"]))
        for process in processes.values():
            assert process.poll() is None
            say(process)
            assert word(process) == "released"
        hub.until(lambda: sum(map(reached(199), heard_of().values())) == len(spares))
        for process in processes.values():
            say(process)
            hub.until(lambda process=process: process.poll() is not None)
            over(process)
        hub.until(lambda: all(heard.bye for heard in heard_of().values()))
    for heard in heard_of().values():
        assert heard.points("a") == steps(0, 200)
        assert heard.values("c") == [1.0, 1.0]
        assert heard.values(DROPPED_NAME) == []


def test_a_run_that_uses_them_up_later_goes_on_with_the_monitors_it_has(
    rendezvous: Path, script: Start
) -> None:
    process = script(PREAMBLE + """
import llmtop
run = llmtop.init("full")
use(run, 0)
told("logged")
exhaust()
use(run, 100)
told("exhausted")
use(run, 200)
told("more")
release()
told("released")
exhaust()
""")
    with Listener(rendezvous) as first:
        assert word(process) == "logged"
        heard = first.hear(reached(99))
        say(process)
        assert word(process) == "exhausted"
        first.hear(reached(199))
        with Listener(rendezvous) as second:
            say(process)
            assert word(process) == "more"
            first.hear(reached(299))
            # More than one look for monitors passes.
            second.until(lambda: not second._socket.poll(700))
            assert second.sessions == {}
            say(process)
            assert word(process) == "released"
            late = second.hear(reached(299))
            say(process)
            first.hear()
            over(process)
    for one in (heard, late):
        assert one.points("a") == steps(0, 300)
        assert one.values(DROPPED_NAME) == []
