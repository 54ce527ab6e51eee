"""`llmtop serve` keeps runs, `llmtop runs`, `open` and `rm` find them: real processes, killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keep.telling import bye, data, defs, hello
from llmtop.cli.main import main
from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.keep.book import Book
from llmtop.keep.folder import make, new_id
from llmtop.keep.listing import list_runs
from llmtop.keep.reading import frames
from llmtop.keep.source import Kept
from llmtop.store import Store
from llmtop.wire import Kind, unpack

PATIENCE = 30.0
TRAIN = """
import sys, llmtop
run = llmtop.init(sys.argv[1])
step = 0
for line in sys.stdin:
    for _ in range(int(line)):
        run.log({"loss": float(step)}, step=step)
        step += 1
run.finish()
"""


@contextmanager
def serving(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "llmtop", "serve", "--no-discover", *words]
    process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def training(environment: dict[str, str], name: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen([sys.executable, "-c", TRAIN, name], env=environment, text=True,
                               stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def log(process: subprocess.Popen, steps: int) -> None:
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()


@pytest.fixture
def listed(environment: dict[str, str]) -> Callable[[], dict[str, Any]]:
    """Return a function that lists kept runs by name, read as `llmtop runs --json` reads them."""
    folder = Path(environment["XDG_STATE_HOME"]) / "llmtop" / "runs"
    return lambda: {one.name: one for one in list_runs(folder) if one.phase != "host"}


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def opened(llmtop: Callable[..., Any], run: str) -> dict[str, Any]:
    done = llmtop("open", run, "--json")
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)["runs"]
    return found


def loss_of(run: dict[str, Any]) -> tuple[int, float]:
    [loss] = [one for one in run["series"] if one["name"] == "loss"]
    return loss["n"], loss["last"][2]


def test_a_run_outlives_the_monitor_however_often_that_is_killed(
    llmtop, environment, listed
) -> None:
    with training(environment, "hardy") as trainer:
        for life in range(1, 4):
            log(trainer, 500)
            with serving(environment) as server:
                if life < 3:
                    # What is written by then is there; the rest comes of the publisher again.
                    time.sleep(random.uniform(0.0, 0.6))
                    server.kill()
                    continue
                until(lambda: "hardy" in listed() and listed()["hardy"].steps == 1499)
                trainer.stdin.close()
                until(lambda: listed()["hardy"].state == "finished")
                server.send_signal(signal.SIGTERM)
                assert server.wait(PATIENCE) == 0
    run = opened(llmtop, "hardy")
    assert (run["state"], loss_of(run)) == ("finished", (1500, 1499.0))
    assert {one["attempt"] for one in run["series"]} == {1}
    folder = Path(environment["XDG_STATE_HOME"]) / "llmtop" / "runs"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_run_that_is_opened_while_it_is_written_goes_on(environment, listed) -> None:
    with serving(environment), training(environment, "going") as trainer:
        log(trainer, 100)
        until(lambda: "going" in listed() and listed()["going"].steps == 99)
        clock = SystemClock()
        engine = Engine(Store(memory_bytes=64 << 20),
                        [Kept(listed()["going"].path, "going", clock=clock)], clock)
        engine.start()
        try:
            assert engine.wait_caught_up(PATIENCE)
            log(trainer, 100)
            [run] = engine.store.runs
            until(lambda: engine.pump(clock.time()) and run.step == 199)
            assert run.state == "live"
            trainer.stdin.close()
            until(lambda: engine.pump(clock.time()) and run.state == "finished")
            assert run.find("loss")[0].n == 200
            assert engine.store.dropped == 0
        finally:
            engine.stop()


def test_a_killed_run_has_died_whoever_watched(llmtop, environment, listed) -> None:
    with serving(environment) as server, training(environment, "seen") as trainer:
        log(trainer, 100)
        until(lambda: "seen" in listed() and listed()["seen"].steps == 99)
        trainer.kill()
        trainer.wait()
        until(lambda: listed()["seen"].state == "died")
        with training(environment, "unseen") as other:
            log(other, 100)
            until(lambda: "unseen" in listed() and listed()["unseen"].steps == 99)
            server.kill()
            server.wait()
            assert listed()["unseen"].state == "unwatched"
    assert listed()["unseen"].state == "died"
    for name in ("seen", "unseen"):
        run = opened(llmtop, name)
        assert (run["state"], loss_of(run)) == ("died", (100, 99.0))


def test_two_monitors_keep_a_run_once_and_one_goes_on_for_the_other(
    environment, listed
) -> None:
    with serving(environment) as first, training(environment, "both") as trainer:
        log(trainer, 3000)
        until(lambda: "both" in listed() and listed()["both"].steps == 2999)
        with serving(environment) as second:
            first.kill()
            first.wait()
            log(trainer, 3000)
            until(lambda: listed()["both"].steps == 5999)
            trainer.stdin.close()
            until(lambda: listed()["both"].state == "finished")
            second.send_signal(signal.SIGTERM)
            assert second.wait(PATIENCE) == 0
    assert len(listed()) == 1
    book = Book(listed()["both"].path)
    told = [unpack(one) for some in frames(book) for one in some]
    book.close()
    # Each point is there as it was sent, none of them folded.
    assert sum(one.count for one in told if one.kind == Kind.DATA) == 6000
    assert Kind.BUCKETS not in {one.kind for one in told}


@pytest.fixture
def call(environment, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs llmtop in this process."""
    for name in ("LLMTOP_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, environment[name])

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        return (code, *capsys.readouterr())

    return run


def test_they_are_found_by_name_and_id_and_removed(call, environment) -> None:
    assert "no runs are kept" in call("runs")[1]
    keep(environment, "exp", "exp")
    [one, two] = json.loads(call("runs", "--json")[1])
    assert (one["name"], one["state"], one["step"], one["loss"]) == ("exp", "finished", 9, 9.0)
    shown = call("runs")[1].splitlines()
    assert shown[0].split()[:4] == ["run", "id", "state", "started"]
    assert two["id"] in shown[2]
    code, out, err = call("rm", "exp")
    assert code == 2
    assert one["id"] in err
    assert two["id"] in err
    code, out, err = call("open", two["id"][:6], "--once")
    assert code == 0
    assert "finished" in out
    assert call("rm", two["id"], "nothing")[0] == 2
    assert call("rm", two["id"])[0] == 0
    [left] = json.loads(call("runs", "--json")[1])
    assert left["id"] == one["id"]


@pytest.mark.parametrize(("words", "wanted"), [
    (["rm"], "name the runs"), (["open"], "name one run"), (["runs", "x"], "llmtop runs/"),
    (["open", "epx"], "did you mean 'exp'?"), (["rm", "0000"], "no kept run '0000'"),
    (["open", "exp", "--state", ""], "--state: name a folder"),
], ids=lambda words: " ".join(words) if isinstance(words, list) else "")  # fmt: skip
def test_a_mistake_is_said_in_a_line(call, environment, words, wanted) -> None:
    keep(environment, "exp")
    code, out, err = call(*words)
    assert (code, out, wanted in err, err.count("\n")) == (2, "", True, 1)


def keep(environment: dict[str, str], *names: str) -> list[Path]:
    """Keep a small run of each name."""
    folder = Path(environment["XDG_STATE_HOME"]) / "llmtop" / "runs"
    make(folder)
    paths = []
    for session, name in enumerate(names, 1):
        path = folder / f"{new_id(str(session))}.run"
        book = Book(path, write=True)
        points = [(0, float(step), step, float(step)) for step in range(10)]
        told = [hello(session, name=name), defs(session, "loss"), data(session, 0, points),
                bye(session)]
        summary = {"name": name, "state": "finished", "started": 1.79e9 - session,
                   "seen": 1.79e9 + 60, "step": 9, "loss": 9.0}
        book.write(told, summary)
        book.close()
        paths.append(path)
    return paths


def test_a_damaged_file_is_said_in_a_line_and_the_rest_is_there(call, environment) -> None:
    _, bad, cut = keep(environment, "good", "bad", "cut")
    bad.write_bytes(b"\0" * 5000)
    cut.write_bytes(cut.read_bytes()[:8192])
    code, out, err = call("runs")
    assert code == 1
    assert "good" in out
    assert str(bad) in err
    code, out, err = call("open", cut.stem, "--once")
    assert code == 1
    assert str(cut) in err
    assert call("rm", bad.stem)[0] == 0
    code, out, err = call("open", "good", "--json")
    assert loss_of(json.loads(out)["runs"][0]) == (10, 9.0)


def test_a_name_cannot_move_the_cursor(call, environment) -> None:
    keep(environment, "evil\x1b[2J\nname", *["many"] * 5)
    _, shown, _ = call("runs")
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 7


def test_serve_can_be_told_to_keep_nothing_or_elsewhere(environment, tmp_path) -> None:
    with training(environment, "where") as trainer:
        log(trainer, 10)
        with serving(environment, "--state", ""):
            pass
        assert not Path(environment["XDG_STATE_HOME"]).exists()
        other = tmp_path / "other"
        with serving(environment, "--state", str(other)):
            until(lambda: [one for one in list_runs(other) if one.name == "where"])
    assert not Path(environment["XDG_STATE_HOME"]).exists()
