"""NeMo 2."""

from __future__ import annotations

from reading import items_of, points

from llmtop.formats.nemo import FORMATS

(NEMO,) = FORMATS


def test_keys_have_spaces_and_the_step_is_the_global_one() -> None:
    text = (
        "Training epoch 1, iteration 4/100 | lr: 3e-05 | global_batch_size: 8 | global_step: 104"
        " | reduced_train_loss: 1.233 | train_step_timing in s: 0.03146 | val_loss: nan\n"
        "Training epoch 1, iteration 5/100 | reduced_train_loss: 1.25\n"
        "Validation: iteration 1/8\n"
    )
    found = points(items_of(NEMO, text))
    assert found["train_step_timing in s"] == [(104, 0.03146)]
    assert found["reduced_train_loss"] == [(104, 1.233), (5, 1.25)]
    assert str(found["val_loss"]) == "[(104, nan)]"
