"""A command runs as it would alone; its output is read, its end told, its signals passed on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from llmtop.clock import SystemClock
from llmtop.errors import UsageError
from llmtop.formats.table import Table
from llmtop.sources import command, textlog
from llmtop.sources.command import Command, describe, run_name
from logfiles import Gathered


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlog, "SETTLE_SECONDS", 0.05)


def python(code: str) -> Command:
    return Command([sys.executable, "-c", code], clock=SystemClock(), table=Table())


def run(source: Command, until: Callable[[Gathered], object] | None = None) -> Gathered:
    gathered, stop = Gathered(), threading.Event()
    for batch in source.batches(stop):
        gathered.add(batch)
        if until is not None and until(gathered):
            stop.set()
    return gathered


def test_output_line_by_line_and_a_good_end() -> None:
    source = python("for n in (1, 2): print(f'step={n} loss={n}.5')\nprint('done')")
    got = run(source)
    assert got.series["loss"] == [(1, 1.5), (2, 2.5)]
    assert got.texts("log") == ["done"]
    assert (got.ended, source.exit_code, got.caught_up) == (["finished"], 0, True)
    (info,) = {run.key: run for run in got.runs.values()}.values()
    assert info.pid == source.pid
    assert list(source.batches(threading.Event())) == []


def test_a_line_comes_when_it_is_printed() -> None:
    source = python("import time\nprint('step=1 loss=1.5')\ntime.sleep(60)")
    got = run(source, lambda got: "loss" in got.series)
    assert got.series["loss"] == [(1, 1.5)]
    assert source.exit_code is None
    assert source.finish() == 128 + signal.SIGINT


@pytest.mark.parametrize(("code", "exit_code"), [("raise SystemExit(7)", 7),
                                                 ("import os; os.kill(os.getpid(), 9)", 137)])
def test_a_bad_end_and_its_exit_code(code: str, exit_code: int) -> None:
    source = python(code)
    assert run(source).ended == ["failed"]
    assert source.exit_code == exit_code
    assert describe(137) == "killed by SIGKILL"
    assert describe(7) == "exit code 7"


def test_ended_politely_first() -> None:
    source = python(
        "import signal, sys, time\n"
        "def end(*_):\n    print('saving', 'x' * 200000)\n    sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('ready')\ntime.sleep(60)"
    )
    run(source, lambda got: got.runs and has_log(got))
    assert source.finish(signal.SIGTERM) == 3


def has_log(got: Gathered) -> bool:
    return bool(got.texts("log"))


def test_one_that_does_not_obey_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "GRACE_SECONDS", (
        (signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 10.0)))
    source = python(
        "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
        "print('ready')\ntime.sleep(60)"
    )
    run(source, has_log)
    assert source.finish() == 128 + signal.SIGKILL


def test_signals_are_passed_on_to_its_children_too() -> None:
    source = Command(["sh", "-c", "trap 'echo got it; exit 5' USR1; echo ready; "
                      "while :; do sleep 0.05; done"], clock=SystemClock(), table=Table())
    got = Gathered()
    for batch in source.batches(threading.Event()):
        got.add(batch)
        if got.texts("log") == ["ready"]:
            source.send(signal.SIGUSR1)
    assert got.texts("log")[-1] == "got it"
    assert source.exit_code == 5


def test_a_child_that_outlives_it_does_not_hold_its_end_up() -> None:
    source = Command(["sh", "-c", "sleep 30 & echo $!; exit 0"], clock=SystemClock(),
                     table=Table())
    got = run(source)
    assert source.exit_code == 0
    os.kill(int(got.texts("log")[0]), signal.SIGKILL)


def test_what_cannot_be_run_is_said() -> None:
    with pytest.raises(UsageError, match="cannot run 'no-such-program': no such file"):
        Command(["no-such-program"], clock=SystemClock(), table=Table())


def test_a_run_is_called_after_its_script() -> None:
    assert run_name(["torchrun", "--nproc-per-node", "2", "jobs/pretrain.py", "--lr", "1"]) == (
        "pretrain")
    assert run_name(["/usr/bin/vllm", "serve"]) == "vllm"
