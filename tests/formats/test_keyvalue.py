"""Lines of names and numbers that no tool in particular wrote."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import items_of

from llmtop.formats.base import About, Points
from llmtop.formats.keyvalue import FORMATS, Reader
from llmtop.samples import NO_STEP

(KEYVALUE,) = FORMATS


def read(line: str) -> Points | None:
    found = [item for item in items_of(KEYVALUE, line) if isinstance(item, Points)]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("line", "step", "values"),
    [
        ("step=170 loss=2.31 lr: 3e-4", 170, {"loss": 2.31, "lr": 3e-4}),
        ("Epoch 3 | loss 2.1 | acc 0.7", 3, {"loss": 2.1, "acc": 0.7}),
        ("[12/100] loss: 0.3", 12, {"loss": 0.3}),
        ("Step 100, Loss 2.3, LR 0.001", 100, {"Loss": 2.3, "LR": 0.001}),
        ("step 20: train loss 1.9, val loss 2.0", 20, {"train loss": 1.9, "val loss": 2.0}),
        ("iter 1,200 | tok/s: 11,577 | custom_score=0.25", 1200,
         {"tok/s": 11577.0, "custom_score": 0.25}),
        ("global_step: 7, skipped: 2", 7, {"skipped": 2.0}),
        ("Epoch [3/10], Step [100/500], Loss: 0.5231", 1100, {"Loss": 0.5231}),
        ("Epoch: [0][ 10/391]\tTime 0.23 (0.31)\tLoss 2.30e+00 (2.31e+00)", 10, {"Loss": 2.3}),
        ("100/100 [=====] - 5s 50ms/step - loss: 0.5 - accuracy: 0.8", 100,
         {"loss": 0.5, "accuracy": 0.8}),
        ("  eval_loss                   =     1.5778", NO_STEP, {"eval_loss": 1.5778}),
        ("(Worker pid=6) step:1 - entropy:0.46", 1, {"entropy": 0.46}),
    ],
)
def test_a_measurement_is_read(line: str, step: int, values: dict[str, float]) -> None:
    found = read(line)
    assert found is not None
    assert (found.step, found.values) == (step, values)


@pytest.mark.parametrize(
    "line",
    [
        "learning_rate: 0.001",
        "epochs: 10, lr: 0.1",
        "train_batch_size: 32",
        "Namespace(lr=0.001, epoch=3, loss=2)",
        "TrainingArguments(step=3, loss=2.0)",
        "loss = 0.5",
        "loss = 0.5 * scale",
        "for step in range(10): loss = 3",
        "    return loss: 0.3",
        "print(f'step: {step} loss: 0.5')",
        '  File "train.py", line 12, in step',
        "ValueError: expected step 3 to be less than 2",
        "Traceback (most recent call last):",
        "assert step == 5, loss == 2",
        "[INFO] checkpoint saved at step 500",
        "Epoch 3 took 12.5 seconds",
        "Loading checkpoint shards: 100%|██| 4/4 [00:54<00:00, 13.53s/it]",
        "GPU 0: 512 MiB",
        "port: 8000",
        "",
    ],
)
def test_code_settings_and_tracebacks_are_left_alone(line: str) -> None:
    assert read(line) is None


def test_nan_and_the_time_of_a_line_are_kept() -> None:
    found = read("2024-05-01T10:00:00Z INFO step: 5, grad_norm: nan, loss: inf")
    assert found is not None
    assert math.isnan(found.values["grad_norm"])
    assert found.values["loss"] == math.inf
    assert found.time == 1714557600.0


def test_the_number_of_steps_is_told_once() -> None:
    items = items_of(KEYVALUE, "".join(f"[{i}/100] loss: 0.3\n" for i in range(5)))
    assert [item for item in items if isinstance(item, About)] == [About(total_steps=100)]


def test_steps_within_an_epoch_are_added_up() -> None:
    lines = [f"Epoch {e}/2 [{i}/10] loss: 0.5" for e in (0, 1) for i in (0, 5)]
    found = [item for item in items_of(KEYVALUE, "\n".join(lines)) if isinstance(item, Points)]
    assert [point.step for point in found] == [0, 5, 10, 15]


@given(st.text(alphabet="stepchlo=: |[]/0123456789.-+eEnaif,%()\t\"'{}", max_size=300))
def test_any_line_is_survived(text: str) -> None:
    for item in Reader().read(text) or ():
        assert isinstance(item, Points | About)
