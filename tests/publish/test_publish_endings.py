"""How a process may end, and what its monitor is told of it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from listener import Listener

import llmtop

Start = Callable[..., subprocess.Popen[str]]

FINISHED = {"reason": "finished", "text": ""}
PREAMBLE = """
import os, signal, sys, threading, time
import llmtop
run = llmtop.init(sys.argv[1], total_steps=3)
for step in range(3):
    run.log({"a": float(step)}, step=step)
sys.stdin.readline()
"""
ENDINGS: dict[str, tuple[str, int, dict[str, str] | None]] = {
    "returns": ("pass", 0, FINISHED),
    "exits": ("sys.exit(0)", 0, FINISHED),
    "exits badly": ("sys.exit(3)", 3, FINISHED),
    "raises": ("raise ValueError('boom')", 1, {"reason": "failed", "text": "ValueError: boom"}),
    "raises with a hook": (
        "sys.excepthook = lambda *error: None\nraise KeyError('k')", 1,
        {"reason": "failed", "text": "KeyError: 'k'"},
    ),
    "is interrupted": (
        # What was started in the background of a shell ignores it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)", -signal.SIGINT,
        {"reason": "failed", "text": "KeyboardInterrupt"},
    ),
    "finishes": ("run.finish(); run.log({'a': 9.0}); run.finish()", 0, FINISHED),
    "finishes with a text": (
        "llmtop.finish('early stop')", 0, {"reason": "finished", "text": "early stop"}
    ),
    "finishes as failed": ("run.finish('failed')", 0, {"reason": "failed", "text": ""}),
    "leaves a block": ("with run: pass", 0, FINISHED),
    "exits in a block": (
        "with run: sys.exit(3)", 3, {"reason": "failed", "text": "SystemExit: 3"}
    ),
    "exits well in a block": ("with run: sys.exit()", 0, FINISHED),
    "fails in a thread": (
        "threading.excepthook = lambda failed: None\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()",
        0, FINISHED,
    ),
    "ends while a thread logs": (
        "threading.Thread(target=lambda: [run.log({'b': 1.0}) for _ in iter(int, 1)],"
        " daemon=True).start(); time.sleep(0.1)", 0, FINISHED,
    ),
    "logs at exit": (
        "import atexit; atexit.register(lambda: run.log({'last': 1.0}, step=3))", 0, FINISHED
    ),
    "is terminated": (
        "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(9)", -signal.SIGTERM, None
    ),
    "handles being terminated": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(9)", 5, FINISHED,
    ),
    "exits at once": ("time.sleep(0.3); os._exit(4)", 4, None),
}  # fmt: skip
"""What a script does after three steps -> its exit code and the BYE it says, None without one."""


def test_every_way_to_end_is_told_and_changes_no_exit_code(
    rendezvous: Path, script: Start
) -> None:
    processes = {
        name: script(PREAMBLE + source, name) for name, (source, _, _) in ENDINGS.items()
    }

    def said() -> dict[str, Any]:
        return {heard.hellos[0]["name"]: heard.bye for heard in hub.sessions.values()}

    expected = {name: bye for name, (_, _, bye) in ENDINGS.items()}
    silent = {name for name, bye in expected.items() if bye is None}
    with Listener(rendezvous) as hub:
        hub.until(lambda: sum(len(h.samples) >= 3 for h in hub.sessions.values()) == len(ENDINGS))
        for name, process in processes.items():
            # One by one: each has half a second for its last words, and the cores are few.
            assert process.stdin is not None
            process.stdin.write("go on\n")
            process.stdin.flush()
            hub.until(
                lambda process=process, name=name: process.poll() is not None
                and (name in silent or said()[name])
            )
        codes = {name: process.returncode for name, process in processes.items()}
        errors = {name: process.communicate()[1] for name, process in processes.items()}
    assert codes == {name: code for name, (_, code, _) in ENDINGS.items()}, errors
    heard_of = said()
    assert {name: heard_of.get(name) for name in ENDINGS} == expected
    for heard in hub.sessions.values():
        name = heard.hellos[0]["name"]
        if expected[name] is not None:
            assert heard.points("a") == [(step, float(step)) for step in range(3)], name
        if name == "logs at exit":
            assert heard.points("last") == [(3, 1.0)]
    for name, text in errors.items():
        assert "llmtop" not in text.replace("llmtop.init", ""), (name, text)


def test_without_a_monitor_the_end_is_not_waited_for(rendezvous: Path, script: Start) -> None:
    process = script(
        "import time, llmtop\n"
        "run = llmtop.init()\n"
        "run.log({'a': 1.0})\n"
        "began = time.monotonic()\n"
        "run.finish()\n"
        "print(time.monotonic() - began)\n"
    )
    out, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert float(out) < 0.4  # half of what finish() may take when somebody listens


def test_a_monitor_that_answers_nothing_holds_the_end_up_for_half_a_second_at_most(
    rendezvous: Path,
) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log({"a": 1.0})
        hub.hear(lambda heard: heard.samples)
        run.log({"a": 2.0})
        began = time.monotonic()
        run.finish()
        took = time.monotonic() - began
        assert 0.2 < took < 3
        assert hub.hear().bye == FINISHED
    assert hub.only().values("a") == [1.0, 2.0]


def test_after_the_end_calls_are_ignored_and_a_new_run_can_begin(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        first = llmtop.init("first")
        ttft = first.distribution("ttft_seconds")
        first.finish()
        first.log({"a": 1.0})
        first.log({"nested": {"a": "text"}}, step=7)
        first.observe("b", 1.0)
        first.count("c")
        first.event("d")
        ttft.observe(1.0)
        with first.timer("e"):
            pass
        llmtop.finish()
        first.finish("failed")
        assert not first._items
        llmtop.init("second").log({"a": 2.0})
        hub.until(lambda: any(heard.samples for heard in hub.sessions.values()))
    said = {heard.hellos[0]["name"]: heard.values("a") for heard in hub.sessions.values()}
    assert said["second"] == [2.0]
    assert said.get("first", []) == []


def test_a_run_ends_where_nothing_can_be_left(
    rendezvous: Path, script: Start
) -> None:
    """What is left behind is of no use to the process, and never holds it up."""
    without = PREAMBLE.replace("sys.stdin.readline()", "sys.modules['llmtop.publish.past'] = None")
    ending = (
        "from llmtop.publish import process\n[stream] = process._drain.streams\n"
        "run.finish()\nprint(stream.ended.is_set())"
    )
    out, _ = script(without + ending, "short").communicate(timeout=20)
    assert out == "True\n"
    assert not list(rendezvous.glob("past-*"))
