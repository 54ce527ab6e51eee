"""A run that ended before anybody looked is there for who looks later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llmtop.publish.past import MAX_FILES

TRAIN = """
import sys, llmtop
with llmtop.init(sys.argv[1], total_steps=2000) as run:
    for step in range(2000):
        run.log({"loss": 2 / (step + 1), "accuracy": step / 2000}, step=step)
    if len(sys.argv) > 2:
        raise ValueError(sys.argv[2])
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("LLMTOP_DIR", str(tmp_path))
    return tmp_path


def train(*arguments: str) -> None:
    subprocess.run([sys.executable, "-c", TRAIN, *arguments], stderr=subprocess.DEVNULL,
                   timeout=60, check=False)


def told() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-m", "llmtop", "--json"], capture_output=True,
                          timeout=60, check=True)
    runs: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
    return runs


def test_a_run_that_is_over_is_found_whole(place: Path) -> None:
    train("early")
    [run] = told()
    assert (run["name"], run["state"], run["step"]) == ("early", "finished", 1999)
    loss = next(one for one in run["series"] if one["name"] == "loss")
    assert loss["n"] == 2000
    assert (loss["first"][0], loss["first"][2], loss["last"][0]) == (0, 2.0, 1999)
    assert loss["last"][2] == pytest.approx(0.001)


def test_how_it_ended_and_when_is_told(place: Path) -> None:
    before = time.time()
    train("bad", "boom")
    after = time.time()
    [run] = told()
    assert run["state"] == "failed"
    accuracy = next(one for one in run["series"] if one["name"] == "accuracy")
    assert before <= accuracy["last"][1] <= after


def test_only_this_user_can_read_it(place: Path) -> None:
    train("private")
    [left] = place.iterdir()
    assert left.stat().st_mode & 0o777 == 0o600


def test_only_the_newest_runs_are_kept(place: Path) -> None:
    for number in range(MAX_FILES):
        old = place / f"past-1-{number:016x}.frames"
        old.write_bytes(b"")
        os.utime(old, (time.time() - 60 - number,) * 2)
    train("newest")
    names = {path.name for path in place.iterdir()}
    assert len(names) == MAX_FILES
    assert f"past-1-{MAX_FILES - 1:016x}.frames" not in names
    assert [run["name"] for run in told()] == ["newest"]


def test_what_is_damaged_is_left_out(place: Path) -> None:
    train("good")
    [left] = place.iterdir()
    data = left.read_bytes()
    (place / "past-1-cut.frames").write_bytes(data[:-3])
    (place / "past-1-noise.frames").write_bytes(b"\xff" * 4096)
    (place / "past-1-link.frames").symlink_to("/dev/zero")
    assert [run["name"] for run in told()] == ["good"]


def test_a_run_that_is_over_is_not_taken_for_alive_later(place: Path) -> None:
    train("first")
    train("second")
    assert [run["state"] for run in told()] == ["finished", "finished"]
