"""torchtitan."""

from __future__ import annotations

from datetime import datetime

from reading import items_of, points

from llmtop.formats.base import About, End, Note, Points
from llmtop.formats.torchtitan import FORMATS

(TITAN,) = FORMATS
AT = "[titan] 2025-06-03 14:20:08,500 - root - INFO - "


def test_ranks_commas_two_numbers_of_memory_and_no_mfu() -> None:
    line = (
        "[rank3]:" + AT + "step: 30  loss:  6.81204  grad_norm:  1.9021"
        "  memory: 41.20GiB(52.02%)  tps: 7,412  tflops: 121.80  mfu: N/A"
    )
    (point,) = items_of(TITAN, line)
    assert point == Points(
        {
            "loss": 6.81204, "grad_norm": 1.9021, "memory": 41.2, "memory_pct": 52.02,
            "tps": 7412.0, "tflops": 121.8,
        },
        30, datetime(2025, 6, 3, 14, 20, 8, 500_000).timestamp(), 3,
    )  # fmt: skip


def test_validation_and_older_lines() -> None:
    text = (
        AT + "validate step: 20  loss: 7.5000  memory: 1.50GiB(2.00%)  tps: 1,024\n"
        "2024-08-01 10:00:00,100 - root - INFO - \n".replace(" \n", " ")
        + "step:  1  loss: 10.9  memory:  9.13GiB(9.60%)  wps: 1,234  mfu: 12.30%"
    )
    assert points(items_of(TITAN, text)) == {
        "validate/loss": [(20, 7.5)], "validate/memory": [(20, 1.5)],
        "validate/memory_pct": [(20, 2.0)], "validate/tps": [(20, 1024.0)], "loss": [(1, 10.9)],
        "memory": [(1, 9.13)], "memory_pct": [(1, 9.6)], "wps": [(1, 1234.0)],
        "mfu": [(1, 12.3)],
    }  # fmt: skip


def test_every_rank_says_the_end_of_a_step_and_the_total_is_told() -> None:
    text = (
        AT + "Training starts at step 1, with local batch size 8, global batch size 64,"
        " sequence length 2048, total steps 1000 (warmup 200)\n"
        + AT + "Finished saving the checkpoint in 12.34 seconds.\n"
        + AT + "Training completed"
    )  # fmt: skip
    about, note, end = items_of(TITAN, text)
    assert about == About(total_steps=1000)
    assert isinstance(note, Note)
    assert note.level == "checkpoint"
    assert isinstance(end, End)
    assert end.reason == "finished"
