"""Megatron-LM and GPT-NeoX."""

from __future__ import annotations

from datetime import datetime

from reading import items_of, points

from llmtop.formats.base import About, End, Note, Points
from llmtop.formats.megatron import FORMATS

(MEGATRON,) = FORMATS
LINE = (
    " [2025-03-02 10:15:42] iteration       40/    2000 | consumed samples:        10240 |"
    " elapsed time per iteration (ms): 612.4 | learning rate: 1.200000E-05 |"
    " global batch size:   256 | lm loss: 9.412277E+00 | loss scale: 65536.0 |"
    " grad norm: 2.871 | number of skipped iterations:   0 | number of nan iterations:   0 |"
)


def test_a_training_line() -> None:
    about, point = items_of(MEGATRON, LINE)
    assert about == About(total_steps=2000)
    assert isinstance(point, Points)
    assert point.step == 40
    assert point.time == datetime(2025, 3, 2, 10, 15, 42).timestamp()
    assert point.rank is None
    assert point.values == {
        "consumed samples": 10240.0, "elapsed time per iteration (ms)": 612.4,
        "learning rate": 1.2e-05, "global batch size": 256.0, "lm loss": 9.412277,
        "loss scale": 65536.0, "grad norm": 2.871, "number of skipped iterations": 0.0,
        "number of nan iterations": 0.0,
    }  # fmt: skip


def test_the_loss_may_be_absent_and_the_time_may_have_microseconds_or_be_missing() -> None:
    text = (
        "[default7]: [2025-03-02 10:15:42.250000] iteration  1/ 50 | consumed samples: 16 |"
        " elapsed time per iteration (ms): 820.7 | throughput per GPU (TFLOP/s/GPU): 80.2 |"
        " number of skipped iterations:   1 | number of nan iterations:   1 |\n"
        " iteration        2/      50 | elapsed time per iteration (ms): 1.0 | lm loss: nan |"
    )
    _, first, second = items_of(MEGATRON, text)
    assert isinstance(first, Points)
    assert isinstance(second, Points)
    assert "lm loss" not in first.values
    assert first.values["throughput per GPU (TFLOP/s/GPU)"] == 80.2
    assert first.time == datetime(2025, 3, 2, 10, 15, 42, 250000).timestamp()
    assert second.time is None
    assert str(second.values["lm loss"]) == "nan"


def test_neox_says_samples_a_second_first() -> None:
    line = (
        " samples/sec: 51.204 | iteration      120/  32000 | elapsed time per iteration (ms): 625.1"
        " | learning rate: 6.000E-05 | approx flops per GPU: 61.4TFLOPS | lm_loss: 6.204117E+00 |"
    )
    assert points(items_of(MEGATRON, line)) == {
        "elapsed time per iteration (ms)": [(120, 625.1)], "learning rate": [(120, 6e-05)],
        "approx flops per GPU": [(120, 61.4)], "lm_loss": [(120, 6.204117)],
        "samples/sec": [(120, 51.204)],
    }  # fmt: skip


def test_evaluations_have_their_split_in_front() -> None:
    text = (
        " validation loss at iteration 50 | lm loss value: 8.5E+00 | lm loss PPL: 4.9E+03 | \n"
        " validation loss at iteration 60 on test set | lm loss value: 8.0E+00 | \n"
        " validation results at iteration 70 | lm_loss value: 7.5E+00 |"
        " lm_loss_ppl value: 1.8E+03 |\n"
        " validation loss at the end of training for val data | lm loss value: 7.0E+00 |\n"
    )
    assert points(items_of(MEGATRON, text)) == {
        "validation/lm loss value": [(50, 8.5)], "validation/lm loss PPL": [(50, 4900.0)],
        "test/lm loss value": [(60, 8.0)], "validation/lm_loss value": [(70, 7.5)],
        "validation/lm_loss_ppl value": [(70, 1800.0)], "val/lm loss value": [(-1, 7.0)],
    }  # fmt: skip


def test_checkpoints_and_the_end_are_told() -> None:
    text = (
        "  successfully saved checkpoint from iteration      50 to /ckpt [ t 1/2, p 1/1 ]\n"
        "[after training is done] datetime: 2025-03-02 11:00:00 \n"
    )
    note, end = items_of(MEGATRON, text)
    assert isinstance(note, Note)
    assert (note.level, note.step) == ("checkpoint", 50)
    assert end == End("finished", "training is done", datetime(2025, 3, 2, 11).timestamp())
