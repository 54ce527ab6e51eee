"""trainer_state.json and *_results.json, written anew as a whole."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from reading import points

from llmtop.formats.base import About, End, FileReader, Points
from llmtop.formats.trainer_state import FORMATS
from llmtop.samples import NO_STEP

STATE, RESULTS = FORMATS


def state(*history: dict[str, Any], step: int = 0, total: int = 30) -> dict[str, Any]:
    return {
        "best_metric": None, "epoch": 1.0, "global_step": step, "log_history": list(history),
        "logging_steps": 10, "max_steps": total, "num_train_epochs": 3,
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write as save_to_json does: in place, not atomically."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def train(step: int, loss: float) -> dict[str, Any]:
    return {"epoch": step / 10, "loss": loss, "step": step}


SUMMARY = {"epoch": 3.0, "step": 30, "train_loss": 2.0, "train_runtime": 12.5}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trainer_state.json"


def loss(reader: FileReader) -> list[tuple[int, float]]:
    return points(reader.read()).get("loss", [])


def test_history_progress_and_end(path: Path) -> None:
    write(path, state(train(10, 2.5), {"epoch": 1.0, "eval_loss": 2.25, "step": 10}, SUMMARY))
    items = list(STATE.reader(path).read())
    about = items[0]
    assert isinstance(about, About)
    assert about.total_steps == 30
    assert about.tags["num_train_epochs"] == 3
    assert items[1:] == [
        Points({"epoch": 1.0, "loss": 2.5}, 10),
        Points({"epoch": 1.0, "eval_loss": 2.25}, 10),
        Points({"epoch": 3.0, "train_loss": 2.0, "train_runtime": 12.5}, 30),
        End("finished"),
    ]


def test_each_record_comes_once(path: Path) -> None:
    reader = STATE.reader(path)
    write(path, state(train(10, 2.5)))
    assert loss(reader) == [(10, 2.5)]
    assert list(reader.read()) == []
    write(path, state(train(10, 2.5), train(20, math.nan)))
    (told,) = loss(reader)
    assert told[0] == 20
    write(path, state(train(10, 2.5), train(20, math.nan), train(30, 1.0)))
    assert loss(reader) == [(30, 1.0)]


@pytest.mark.parametrize("kept", [0, 1, 40, 200])
def test_a_half_written_state_is_read_when_it_is_whole(path: Path, kept: int) -> None:
    reader = STATE.reader(path)
    write(path, state(train(10, 2.5)))
    assert loss(reader) == [(10, 2.5)]
    whole = json.dumps(state(train(10, 2.5), train(20, 2.0)))
    path.write_text(whole[:kept])
    assert loss(reader) == []
    path.write_text(whole)
    assert loss(reader) == [(20, 2.0)]


def test_nan_and_infinity_stand_bare(path: Path) -> None:
    write(path, state(train(10, math.nan), train(20, math.inf)))
    found = loss(STATE.reader(path))
    assert math.isnan(found[0][1])
    assert found[1] == (20, math.inf)


def test_a_resumed_run_tells_only_what_is_other(path: Path) -> None:
    reader = STATE.reader(path)
    write(path, state(train(10, 2.5), train(20, 2.0)))
    assert len(loss(reader)) == 2
    write(path, state(train(10, 2.5), train(20, 1.75)))
    assert loss(reader) == [(20, 1.75)]


def test_records_that_are_no_records_are_left_out(path: Path) -> None:
    content = state(train(10, 2.5))
    content["log_history"] += [None, 3, "x", {"step": 20}, {"note": "y"}]
    content["max_steps"] = "many"
    write(path, content)
    assert points(STATE.reader(path).read()) == {"epoch": [(10, 1.0)], "loss": [(10, 2.5)]}


def test_results_are_numbers_of_the_whole_run(tmp_path: Path) -> None:
    path = tmp_path / "eval_results.json"
    write(path, {"epoch": 3.0, "eval_loss": 1.5, "eval_runtime": 219.9, "note": "x"})
    reader = RESULTS.reader(path)
    assert list(reader.read()) == [
        Points({"epoch": 3.0, "eval_loss": 1.5, "eval_runtime": 219.9}, NO_STEP)
    ]
    assert list(reader.read()) == []


def test_files_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    content = json.dumps(state(train(10, 2.5)), indent=2).encode()
    results = b'{\n    "eval_loss": 1.5\n}'
    assert STATE.sniff(tmp_path / "x.json", content)
    assert not STATE.sniff(tmp_path / "eval_results.json", results)
    assert RESULTS.sniff(tmp_path / "eval_results.json", results)
    assert RESULTS.sniff(tmp_path / "renamed.json", results)
    assert not RESULTS.sniff(tmp_path / "x.json", b'{"loss": 1.5, "eval_loss": 1.5}')
    assert not RESULTS.sniff(tmp_path / "all_results.json", content)
    assert not RESULTS.sniff(tmp_path / "all_results.json", b'{"acc": 3}')
    assert not STATE.sniff(tmp_path / "x.json", b"[]")
    assert not STATE.sniff(tmp_path / "x.json", b"")
