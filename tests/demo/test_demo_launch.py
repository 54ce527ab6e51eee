"""The demo's processes as they are: what they publish, and that nothing of them stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from llmtop.clock import SystemClock
from llmtop.demo import launch
from llmtop.demo.launch import Demo
from llmtop.engine import Engine
from llmtop.sources import open_source
from llmtop.store import Store

PATIENCE = 30.0
"""Seconds within which anything should happen; only a failing test waits so long."""


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo keeps its checkpoints."""
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def engine() -> Iterator[Engine]:
    clock = SystemClock()
    engine = Engine(Store(memory_bytes=64 << 20), [open_source("", clock)], clock)
    engine.start()
    yield engine
    engine.stop()


def test_leaving_it_leaves_nothing_behind(temporary: Path) -> None:
    with Demo() as demo:
        assert len(demo.pids) == 2
        assert all(running(pid) for pid in demo.pids)
        wait_for(lambda: list(temporary.glob("*/step-*.npz")))
        assert demo.complaints() == []
    assert not any(psutil.pid_exists(pid) for pid in demo.pids)
    assert list(temporary.iterdir()) == []


def test_an_exception_leaves_nothing_behind(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), Demo() as demo:
        raise ZeroDivisionError
    assert not any(psutil.pid_exists(pid) for pid in demo.pids)
    assert list(temporary.iterdir()) == []


def test_a_killed_parent_leaves_nothing_behind(temporary: Path) -> None:
    script = (
        "from llmtop.demo.launch import Demo\n"
        "import time\n"
        "with Demo() as demo:\n"
        "    print(*demo.pids, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        wait_for(lambda: list(temporary.glob("*/step-*.npz")))
        assert all(running(pid) for pid in pids)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(running(pid) for pid in pids))
    assert list(temporary.iterdir()) == []


def test_a_child_that_does_not_listen_is_killed(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "END_SECONDS", 0.05)
    with Demo() as demo:
        for pid in demo.pids:
            os.kill(pid, signal.SIGSTOP)
    assert not any(psutil.pid_exists(pid) for pid in demo.pids)


def test_a_child_that_fails_is_told_of(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PROGRAMS", ("llmtop.demo.no_such_program",))
    with Demo() as demo:
        wait_for(demo.complaints)
        (said,) = demo.complaints()
    assert "No module named llmtop.demo.no_such_program" in said
    assert said.startswith("llmtop.demo.no_such_program: ")


def test_a_failed_start_takes_back_what_was_started(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def start_once(*args: object, **named: object) -> object:
        if started:
            raise OSError("no more processes")
        child = popen(*args, **named)  # type: ignore[call-overload]
        started.append(child.pid)
        return child

    monkeypatch.setattr(subprocess, "Popen", start_once)
    with pytest.raises(OSError, match="no more processes"), Demo():
        pass
    assert not psutil.pid_exists(started[0])
    assert list(temporary.iterdir()) == []


def test_the_trainer_publishes_what_it_does_and_finishes(tmp_path: Path, engine: Engine) -> None:
    steps = 25
    script = (
        "import pathlib, sys\n"
        "from llmtop.demo.train import train\n"
        f"train(pathlib.Path(sys.argv[1]), {steps}, 0.0)\n"
    )
    environment = {**os.environ, **dict.fromkeys(launch.THREADS, "1")}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, env=environment
    ) as child:
        wait_for(lambda: (engine.wait_caught_up(0.1), child.poll() is not None)[1])
    assert child.returncode == 0
    wait_for(lambda: (engine.wait_caught_up(0.1), engine.store.runs[0].state != "live")[1])
    (run,) = engine.store.runs
    assert (run.name, run.phase, run.state) == ("tiny-gpt", "train", "finished")
    assert (run.step, run.total_steps) == (steps - 1, steps)
    for name in ("loss", "accuracy", "grad_norm", "learning_rate", "tokens_per_second"):
        (series,) = (one for one in run.find(name) if not one.derived)
        assert series.n == steps, name
    (loss,) = run.find("loss")
    assert loss.last.value < loss.first.value - 0.3  # type: ignore[union-attr]
    assert [one.n for one in (*run.find("eval_loss"), *run.find("eval_accuracy"))] == [1, 1]
    assert [event.text for event in run.events] == ["checkpoint 0 saved", "checkpoint 24 saved"]
    assert len(list(tmp_path.glob("step-*.npz"))) == 2


def test_a_trainer_whose_parent_goes_ends_as_finished(tmp_path: Path, engine: Engine) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "llmtop.demo.train", str(tmp_path)], stdin=subprocess.PIPE
    ) as child:
        wait_for(lambda: (engine.wait_caught_up(0.1), engine.store.samples > 5)[1])
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(PATIENCE) == 0
    wait_for(lambda: (engine.wait_caught_up(0.1), engine.store.runs[0].state != "live")[1])
    assert engine.store.runs[0].state == "finished"
    assert engine.store.runs[0].step < 11_999
