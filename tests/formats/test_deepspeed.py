"""DeepSpeed and DeepSpeed-Chat."""

from __future__ import annotations

from datetime import datetime

import pytest
from reading import items_of, points

from llmtop.formats.base import End, Note, Points
from llmtop.formats.deepspeed import FORMATS

(DEEPSPEED,) = FORMATS
AT = "[2024-05-11 08:30:02,500] [INFO] "


@pytest.mark.parametrize(
    ("line", "step", "values"),
    [
        (AT + "[logging.py:96:log_dist] [Rank 0] step=40, skipped=2, lr=[1.5e-05, 1e-06], mom=[]",
         40, {"skipped": 2.0, "lr": 1.5e-05}),
        (AT + "[logging.py:96:log_dist] [Rank 0] step=41, skipped=2, lr=[np.float64(1e-05)]",
         41, {"skipped": 2.0, "lr": 1e-05}),
        (AT + "[timer.py:199:stop] epoch=0/micro_step=170/global_step=85, "
         "RunningAvgSamplesPerSec=171.9, CurrSamplesPerSec=170.2, MemAllocated=3.96GB, "
         "MaxMemAllocated=22.95GB",
         85, {"avg_sps": 171.9, "cur_sps": 170.2, "mem_gb": 3.96, "max_mem_gb": 22.95}),
        ("worker-0: " + AT + "[timer.py:181:stop] 0/10, SamplesPerSec=8.5, MemAllocated=1.5GB, "
         "MaxMemAllocated=2.5GB", 10, {"avg_sps": 8.5, "mem_gb": 1.5, "max_mem_gb": 2.5}),
    ],
)  # fmt: skip
def test_its_own_lines(line: str, step: int, values: dict[str, float]) -> None:
    (point,) = items_of(DEEPSPEED, line)
    time = datetime(2024, 5, 11, 8, 30, 2, 500_000).timestamp()
    assert point == Points(values, step, time)


def test_skipped_steps_and_checkpoints_are_notes_of_one_rank() -> None:
    text = "\n".join(
        [
            AT + "[loss_scaler.py:181:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step.",
            AT + "[loss_scaler.py:181:update_scale] [deepspeed] OVERFLOW! Rank 3 Skipping step.",
            AT + "[logging.py:96:log_dist] [Rank 0] Overflow detected. Skipping step. Attempted",
            AT + "[x.py:1:save] [Torch] Checkpoint global_step50 is ready now!",
            AT + "[x.py:1:save] [Torch] Checkpoint global_step50 is ready now!",
        ]
    )
    notes = items_of(DEEPSPEED, text)
    assert all(isinstance(note, Note) for note in notes)
    assert [(n.level, n.step) for n in notes if isinstance(n, Note)] == [
        ("warning", -1), ("warning", -1), ("checkpoint", 50),
    ]  # fmt: skip


def test_the_launcher_says_how_it_ended() -> None:
    good, bad = items_of(
        DEEPSPEED,
        AT + "[launch.py:460:main] Process 4410 exits successfully.\n"
        + AT + "[launch.py:325:sigkill_handler] ['python', 'x.py'] exits with return code = 1",
    )  # fmt: skip
    assert isinstance(good, End)
    assert isinstance(bad, End)
    assert (good.reason, bad.reason) == ("finished", "failed")


def test_chat_records_take_two_lines() -> None:
    text = (
        "epoch: 0|step: 14|ppo_ep: 1|act_loss: -0.0056|cri_loss: 0.0219|unsuper_loss: 0.0\n"
        "average reward score: -0.104\n"
        "-------------------\n"
        "Epoch: 0 | Step: 15 | PPO Epoch: 1 | Actor Loss: -0.01 | Critic Loss: nan\n"
        "Average reward score: 0.5 | EMA reward score: 0.25\n"
    )
    found = points(items_of(DEEPSPEED, text))
    assert found["act_loss"] == [(14, -0.0056)]
    assert found["average reward score"] == [(14, -0.104)]
    assert found["Actor Loss"] == [(15, -0.01)]
    assert str(found["Critic Loss"]) == "[(15, nan)]"
    assert found["EMA reward score"] == [(15, 0.25)]


def test_chat_evaluations_have_no_step() -> None:
    text = (
        "ppl: 4998.25\n"
        "ppl: 1.5, loss: 0.405\n"
        "chosen_last_scores (higher is better) : 2.5, acc (higher is better) : 0.75\n"
        "Epoch 1/2 with loss 0.5\n"
        "my ppl: 3\n"
    )
    assert points(items_of(DEEPSPEED, text)) == {
        "ppl": [(-1, 4998.25), (-1, 1.5)], "eval_loss": [(-1, 0.405)],
        "chosen_last_scores": [(-1, 2.5)], "acc": [(-1, 0.75)], "epoch_loss": [(-1, 0.5)],
    }  # fmt: skip


def test_chat_losses_of_ranks() -> None:
    items = items_of(DEEPSPEED, "Epoch: 0, Step: 10, Rank: 3, loss = 2.25")
    assert points(items, rank=3) == {"loss": [(10, 2.25)]}
