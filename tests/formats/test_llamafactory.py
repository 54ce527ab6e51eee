"""LLaMA-Factory's trainer_log.jsonl."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from reading import items_of, points

from llmtop.formats.base import About, Points, Skipped
from llmtop.formats.llamafactory import FORMATS, Reader

(LLAMAFACTORY,) = FORMATS

NEW = (
    '{"current_steps": 5, "total_steps": 12, "loss": 2.5, "lr": 1.5e-06, "epoch": 0.4, '
    '"percentage": 41.7, "elapsed_time": "0:32:48", "remaining_time": "9 days, 21:39:23"}\n'
    '{"current_steps": 5, "total_steps": 12, "eval_loss": 2.25, "epoch": 0.4, '
    '"percentage": 41.7, "elapsed_time": "0:33:48", "remaining_time": "0:01:00"}\n'
    '{"current_steps": 12, "total_steps": 12, "epoch": 1.0, "percentage": 100.0, '
    '"elapsed_time": "0:40:00", "remaining_time": "0:00:00"}\n'
)
OLD = (
    '{"current_steps": 10, "total_steps": 90, "loss": 2.5, "eval_loss": null, "reward": null, '
    '"learning_rate": 5e-07, "epoch": 0.1, "percentage": 11.1, "elapsed_time": "0:00:41", '
    '"remaining_time": "0:11:37", "throughput": "1,200.50", "total_tokens": 0}\n'
)


def test_steps_of_training_and_evaluation() -> None:
    items = items_of(LLAMAFACTORY, NEW)
    assert items[0] == About(total_steps=12)
    assert points(items) == {
        "loss": [(5, 2.5)], "lr": [(5, 1.5e-06)], "eval_loss": [(5, 2.25)],
        "epoch": [(5, 0.4), (5, 0.4), (12, 1.0)],
        "percentage": [(5, 41.7), (5, 41.7), (12, 100.0)],
    }


def test_nulls_are_missing_and_text_is_a_number() -> None:
    found = points(items_of(LLAMAFACTORY, OLD))
    assert found["throughput"] == [(10, 1200.5)]
    assert "eval_loss" not in found
    assert "reward" not in found


def test_lines_of_two_writers_are_told_as_they_come() -> None:
    line = '{"current_steps": %d, "total_steps": 9, "loss": %s}\n'
    text = "".join(line % pair for pair in [(1, "2.0"), (1, "2.5"), (3, "NaN"), (2, "1.0")])
    steps = [step for step, _ in points(items_of(LLAMAFACTORY, text))["loss"]]
    assert steps == [1, 1, 3, 2]


def test_a_torn_line_is_counted() -> None:
    items = items_of(LLAMAFACTORY, '{"current_steps": 1, "loss": 2{"current_steps": 1}\n' + OLD)
    assert [item.count for item in items if isinstance(item, Skipped)] == [1]
    assert sum(isinstance(item, Points) for item in items) == 1


def test_other_lines_are_foreign() -> None:
    assert Reader().read('{"step": 1, "note": "current_steps"}') is None
    assert Reader().read("no object") is None


@given(st.text(max_size=80))
def test_any_line_is_survived(text: str) -> None:
    Reader().read('{"current_steps": ' + text)
