"""Runs across fork, spawn, exec, subprocesses and launchers."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from listener import Heard, Listener

import llmtop

Start = Callable[..., subprocess.Popen[str]]

MULTIPROCESSING = """
import multiprocessing, os, sys
import llmtop

def work(run, number, logs):
    if logs:
        for step in range(5):
            run.log({f"w{number}": float(step)}, step=step)
        run.distribution("d").observe(0.5)

def fail(run):
    sys.stderr = open(os.devnull, "w")
    run.log({"failing": 1.0})
    raise ValueError("boom")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    run = llmtop.init("parent")
    handle = run.distribution("d")
    run.log({"a": 0.0}, step=0)
    workers = [context.Process(target=work, args=(run, n, n < 3)) for n in range(5)]
    for worker in workers:
        worker.start()
    run.log({"a": 1.0}, step=1)
    handle.observe(0.25)
    for worker in workers:
        worker.join()
    run.log({"a": 2.0}, step=2)
    failing = context.Process(target=fail, args=(run,))
    failing.start()
    failing.join()
    print([worker.exitcode for worker in workers])
"""

WORKER_FAILED = (
    {"reason": "failed", "text": "ValueError: boom"} if sys.version_info < (3, 13)
    else {"reason": "finished", "text": ""}
)  # fmt: skip
"""From 3.13 on a worker's exception is over by the time that its exit functions run."""


@pytest.fixture(autouse=True)
def quiet_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 3.12 on Python warns of a fork in any process that has a thread."""
    monkeypatch.setenv("PYTHONWARNINGS", "ignore::DeprecationWarning")


def by_pid(hub: Listener) -> dict[int, Heard]:
    return {heard.hellos[0]["pid"]: heard for heard in hub.sessions.values()}


def finish(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    return out


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_have_sessions_of_their_own(
    rendezvous: Path, script: Start, method: str
) -> None:
    with Listener(rendezvous) as hub:
        process = script(MULTIPROCESSING, method)
        # A worker that logs nothing is a session under spawn only: it unpickled the run.
        sessions = 5 if method == "fork" else 7
        hub.until(
            lambda: len(hub.sessions) == sessions and all(h.bye for h in hub.sessions.values()), 30
        )
        assert finish(process) == "[0, 0, 0, 0, 0]\n"
        heard_of = by_pid(hub)
    parent = heard_of.pop(process.pid)
    assert parent.points("a") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert parent.values("d") == [0.25]
    assert set(parent.meta) == {"llmtop/dropped", "llmtop/overflow", "a", "d"}
    seen, failed = [], 0
    for heard in heard_of.values():
        assert heard.hellos[0]["name"] == "parent"
        assert heard.hellos[0]["tags"]["forked_from"] == process.pid
        assert heard.values("a") == []
        if "failing" in heard.meta:
            assert heard.bye == WORKER_FAILED
            failed += 1
            continue
        assert heard.bye == {"reason": "finished", "text": ""}
        for number in range(3):
            if f"w{number}" in heard.meta:
                seen.append(number)
                assert heard.points(f"w{number}") == [(step, float(step)) for step in range(5)]
                assert heard.values("d") == [0.5]
    assert sorted(seen) == [0, 1, 2]
    assert failed == 1


def test_raw_forks_keep_the_parents_session_whole(rendezvous: Path, script: Start) -> None:
    """The children outlive their parent's log() calls, one logs, both leave without a word."""
    with Listener(rendezvous) as hub:
        process = script("""
import os, sys, time
import llmtop
run = llmtop.init("forking")
for step in range(10):
    run.log({"a": float(step)}, step=step)
children = []
for logs in (True, False):
    pid = os.fork()
    if pid == 0:
        if logs:
            run.log({"child": 1.0})
            llmtop.event("from the child")
        sys.stdin.buffer.raw.read(1)
        os._exit(0)
    children.append(pid)
for step in range(10, 20):
    run.log({"a": float(step)}, step=step)
print(*children, flush=True)
for pid in children:
    os.waitpid(pid, 0)
""")
        assert process.stdout is not None
        assert process.stdin is not None
        logging, silent = (int(pid) for pid in process.stdout.readline().split())
        hub.until(
            lambda: len(by_pid(hub)) == 2
            and len(by_pid(hub)[process.pid].samples) == 20
            and by_pid(hub)[logging].texts("info")
            and by_pid(hub)[logging].samples
        )
        process.stdin.write("..")
        process.stdin.flush()
        hub.until(lambda: by_pid(hub)[process.pid].bye)
        finish(process)
        heard_of = by_pid(hub)
    assert silent not in heard_of
    assert heard_of[process.pid].points("a") == [(step, float(step)) for step in range(20)]
    child = heard_of[logging]
    assert child.points("child") == [(0, 1.0)]
    assert child.values("a") == []
    assert child.bye is None


def test_forks_while_other_threads_log_do_not_hang(rendezvous: Path, script: Start) -> None:
    with Listener(rendezvous) as hub:
        def children() -> list[Heard]:
            return [h for pid, h in by_pid(hub).items() if pid != process.pid]

        process = script("""
import os, threading
import llmtop
run = llmtop.init("busy")
over = threading.Event()
def log():
    while not over.is_set():
        run.log({"a": 1.0})
        run.log({"bad": [], "text": "x"})
threads = [threading.Thread(target=log) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        run.log({"child": [], "c": 1.0})
        run.finish()
        os._exit(0)
    os.waitpid(pid, 0)
over.set()
""")
        hub.until(lambda: process.poll() is not None, 40)
        finish(process)
        # The parent may have logged more than can be sent in the time it has to end.
        hub.until(lambda: sum(1 for h in children() if h.bye) == 20)
    assert [child.values("c") for child in children()] == [[1.0]] * 20


def test_exec_and_subprocesses_inherit_nothing(rendezvous: Path, script: Start) -> None:
    with Listener(rendezvous) as hub:
        process = script("""
import os, subprocess, sys
import llmtop
run = llmtop.init("before")
run.log({"a": 1.0})
subprocess.run([sys.executable, "-c", "import llmtop; llmtop.init('sub').log({'a': 2.0})"])
subprocess.run(["true"], preexec_fn=lambda: None)
os.execv(sys.executable, [sys.executable, "-c", '''
import os, llmtop
print([os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 9)
       if os.path.exists(f"/proc/self/fd/{fd}")])
with llmtop.init("after") as run:
    run.log({"a": 3.0})
'''])
""")
        hub.until(lambda: process.poll() is not None and len(hub.sessions) >= 2)
        hub.until(lambda: sum(1 for h in hub.sessions.values() if h.bye) >= 2)
        out = finish(process)
    said = {h.hellos[0]["name"]: (h.values("a"), h.bye) for h in hub.sessions.values()}
    finished = {"reason": "finished", "text": ""}
    assert said["sub"] == ([2.0], finished)
    assert said["after"] == ([3.0], finished)
    assert said.get("before", ([], None))[1] is None
    assert "socket:" not in out
    assert "eventpoll" not in out


def test_a_child_of_a_child_goes_on_with_the_run(rendezvous: Path, script: Start) -> None:
    with Listener(rendezvous) as hub:
        process = script("""
import os
import llmtop
run = llmtop.init("deep", tags={"k": 1})
run.log({"depth": 0.0})
for depth in (1.0, 2.0):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        break
    run.log({"depth": depth})
run.finish()
""")
        hub.until(lambda: sum(1 for h in hub.sessions.values() if h.bye) == 3)
        finish(process)
        said = {h.values("depth")[0]: h.hellos[0] for h in hub.sessions.values()}
    assert set(said) == {0.0, 1.0, 2.0}
    assert said[1.0]["tags"] == {"k": 1, "forked_from": said[0.0]["pid"]}
    assert said[2.0]["tags"] == {"k": 1, "forked_from": said[1.0]["pid"]}


def test_a_pickled_run_is_one_of_the_same_name_and_a_copy_is_the_same(rendezvous: Path) -> None:
    run = llmtop.init("original", rank=1, world_size=4)
    handle = run.distribution("ttft_seconds", unit="seconds")
    assert deepcopy(run) is run
    assert deepcopy({"callback": handle})["callback"] is handle
    again = pickle.loads(pickle.dumps(handle))
    assert (again.name, again.unit, again.kind) == ("ttft_seconds", "seconds", "distribution")
    again.observe(0.5)
    with Listener(rendezvous) as hub:
        hub.until(lambda: any(h.values("ttft_seconds") for h in hub.sessions.values()))
        hub.until(lambda: len(hub.sessions) == 2)
        hellos = [heard.hellos[0] for heard in hub.sessions.values()]
    assert {hello["name"] for hello in hellos} == {"original"}
    assert {(hello["rank"], hello["world_size"]) for hello in hellos} == {(1, 4)}


@pytest.mark.parametrize(("variables", "expected"), [
    ({"RANK": "2", "WORLD_SIZE": "4"}, (2, 4)),
    ({"RANK": "2"}, (None, None)),
    ({"RANK": "4", "WORLD_SIZE": "4"}, (None, None)),
    ({"RANK": "-1", "WORLD_SIZE": "4"}, (None, None)),
    ({"RANK": "two", "WORLD_SIZE": "4"}, (None, None)),
    ({"RANK": "9" * 5000, "WORLD_SIZE": "4"}, (None, None)),
    ({"SLURM_PROCID": "5", "SLURM_NTASKS": "8"}, (5, 8)),
    ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, (1, 2)),
    ({"RANK": "", "WORLD_SIZE": "", "PMI_RANK": "0", "PMI_SIZE": "2"}, (0, 2)),
])  # fmt: skip
def test_ranks_of_launchers(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str],
    expected: tuple[int | None, int | None],
) -> None:  # fmt: skip
    from llmtop.publish.environment import rank_and_world_size

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert rank_and_world_size() == expected


def test_ranks_given_win_over_the_launchers(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    with Listener(rendezvous) as hub:
        llmtop.init(rank=1, world_size=2)
        hub.until(lambda: hub.sessions)
    assert (hub.only().hellos[0]["rank"], hub.only().hellos[0]["world_size"]) == (1, 2)


@pytest.mark.parametrize(("arguments", "expected"), [
    (["train.py"], "train"),
    (["/a/b/pre.train.py", "--lr"], "pre.train"),
    (["/opt/megatron/__main__.py"], "megatron"),
    (["-c"], "run"),
    ([""], "run"),
    ([], "run"),
])  # fmt: skip
def test_a_run_without_a_name_is_called_after_its_script(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    from llmtop.publish.environment import default_name

    monkeypatch.setattr(sys, "argv", arguments)
    assert default_name() == expected
