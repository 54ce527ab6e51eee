"""The real hub and real publishers, over real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.errors import SourceError
from llmtop.sources.hub import Hub
from llmtop.store import Store

SCRIPT = """
import sys, llmtop
run = llmtop.init("trainer")
for step in range(int(sys.argv[1])):
    run.log({"loss": float(step)}, step=step)
print("logged", flush=True)
sys.stdin.readline()
"""


def pumped(engine: Engine, condition: Callable[[], object]) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + 20
    while not condition():
        assert clock.monotonic() < deadline, [(run.name, run.state) for run in engine.store.runs]
        engine._arrived.wait(0.05)
        engine._arrived.clear()
        engine.pump(clock.time())


def test_exact_numbers_a_stopped_run_is_not_dead_and_a_killed_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with TemporaryDirectory(prefix="lt-", dir="/tmp") as directory:
        monkeypatch.setenv("LLMTOP_DIR", directory)
        clock = SystemClock()
        engine = Engine(Store(), [Hub(clock=clock)], clock)
        engine.start()
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "5000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            pumped(engine, lambda: any(run.step == 4999 for run in engine.store.runs))
            (run,) = engine.store.runs
            (loss,) = run.find("loss")
            assert loss.n == 5000
            assert engine.store.dropped == 0
            os.kill(process.pid, signal.SIGSTOP)
            until = clock.monotonic() + 2.5
            pumped(engine, lambda: clock.monotonic() > until)
            assert run.state in ("live", "stale")
            process.kill()
            process.wait()
            pumped(engine, lambda: run.state == "died")
        finally:
            process.kill()
            process.communicate()
            engine.stop()
        assert list(Path(directory).glob("mon-*")) == []


def test_a_directory_open_to_others_is_refused_by_name(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMTOP_DIR", str(tmp_path))
        with pytest.raises(SourceError, match=f"chmod 700 {tmp_path}"):
            next(Hub(clock=SystemClock()).batches(threading.Event()))
