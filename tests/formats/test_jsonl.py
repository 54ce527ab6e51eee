"""JSON lines of no tool in particular."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import items_of

from llmtop.formats.base import Points
from llmtop.formats.jsonl import FORMATS, Reader
from llmtop.samples import NO_STEP

(JSONL,) = FORMATS


def read(line: str) -> Points | None:
    found = items_of(JSONL, line)
    assert all(isinstance(item, Points) for item in found)
    return found[0] if found else None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("record", "point"),
    [
        ({"step": 100, "loss": 2.31, "lr": 3e-4}, Points({"loss": 2.31, "lr": 3e-4}, 100)),
        ({"global_step": 5, "train": {"loss": 2, "note": "x"}}, Points({"train/loss": 2.0}, 5)),
        ({"_step": 3, "_timestamp": 1744587680.5, "_runtime": 9, "a": 1},
         Points({"_runtime": 9.0, "a": 1.0}, 3, 1744587680.5)),
        ({"iter": 7, "time": "2025-04-13T23:41:20Z", "acc": 0.5},
         Points({"acc": 0.5}, 7, 1744587680.0)),
        ({"iteration": 7, "time": 12.5, "acc": 0.5}, Points({"time": 12.5, "acc": 0.5}, 7)),
        ({"epoch": 2, "val_loss": 1.5}, Points({"epoch": 2.0, "val_loss": 1.5}, 2)),
        ({"step": 1, "epoch": 2, "loss": 1.5}, Points({"epoch": 2.0, "loss": 1.5}, 1)),
        ({"epoch": 0.5, "loss": 1.5}, Points({"epoch": 0.5, "loss": 1.5}, NO_STEP)),
        ({"update": 0.416, "num_updates": "200", "loss": "9.276"},
         Points({"update": 0.416, "loss": 9.276}, 200)),
        ({"step": 4, "data": {"actor/kl": 0.1}}, Points({"actor/kl": 0.1}, 4)),
        ({"step": 4, "metrics": {"train": {"loss": 0.1}}}, Points({"train/loss": 0.1}, 4)),
        ({"step": 4, "rank": 3, "run": "a", "loss": 1}, Points({"loss": 1.0}, 4, None, 3, "a")),
        ({"name": "loss", "value": 2.5, "step": 9}, Points({"loss": 2.5}, 9)),
        ({"step": 2, "loss": None, "done": True, "lr": [0.1]}, Points({"lr": 0.1}, 2)),
    ],
)
def test_a_record_is_read(record: dict[str, object], point: Points) -> None:
    found = read(json.dumps(record))
    assert found is not None
    if "name" in record:
        found = Points(found.values, found.step)
    assert found == point


def test_bare_nan_and_infinity_are_data() -> None:
    found = read('{"step": 1, "loss": NaN, "grad_norm": Infinity}')
    assert found is not None
    assert math.isnan(found.values["loss"])
    assert found.values["grad_norm"] == math.inf


def test_an_object_behind_a_logging_prefix_has_the_time_of_its_line() -> None:
    found = read('2025-04-13T23:41:20Z - trainer - INFO - {"step": 5, "loss": 2.5} done')
    assert found == Points({"loss": 2.5}, 5, 1744587680.0)


@pytest.mark.parametrize(
    "line",
    ['{"prompt": "hello", "answer": "world", "id": 5}', '{"text": "a"}', "{}", "{'a': 1}",
     '{"a": 1', "[1, 2]", '{"step": 5}', '{"flag": true}', '{"a":' * 5000],
)
def test_what_is_no_measurement_is_left_alone(line: str) -> None:
    assert read(line) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
names = st.sampled_from(["step", "time", "rank", "run", "name", "value", "data", "loss", "epoch"])


@given(st.dictionaries(names, json_values))
def test_any_record_is_survived(record: dict[str, object]) -> None:
    for item in Reader().read(json.dumps(record)) or ():
        assert isinstance(item, Points)
        assert item.values


@given(st.text(max_size=60))
def test_any_line_is_survived(text: str) -> None:
    Reader().read('{"' + text)
