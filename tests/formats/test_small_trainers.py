"""Formats whose record is one line without time: torchtune, litgpt, nanoGPT and its kin, mlx-lm."""

from __future__ import annotations

import pytest
from reading import items_of, points

from llmtop.formats import (
    buildnanogpt,
    litgpt,
    llmc,
    mlx,
    modded,
    nanochat,
    nanogpt,
    openrlhf,
    torchtune,
)  # fmt: skip
from llmtop.formats.base import About, End, LineFormat, Note

LOG_TXT, BUILD = buildnanogpt.FORMATS
MAIN_LOG, LLMC = llmc.FORMATS
(LITGPT,), (MODDED,), (NANOCHAT,) = litgpt.FORMATS, modded.FORMATS, nanochat.FORMATS
(NANOGPT,), (TUNE,), (MLX,) = nanogpt.FORMATS, torchtune.FORMATS, mlx.FORMATS
(OPENRLHF,) = openrlhf.FORMATS


@pytest.mark.parametrize(
    ("chosen", "line", "step", "values"),
    [
        (TUNE, "Step 7 | loss:2.5 lr:2e-05 tokens_per_second_per_gpu:57.5 ", 7,
         {"loss": 2.5, "lr": 2e-05, "tokens_per_second_per_gpu": 57.5}),
        (TUNE, "Step 8 | loss:nan note:<object>", 8, {"loss": float("nan")}),
        (LITGPT, "Epoch 4 | iter 96 step 24 | loss train: 1.5, val: n/a | iter time: 529.5 ms"
         " (step) remaining time: 0:10:00", 24, {"iter": 96.0, "loss": 1.5, "ms": 529.5}),
        (LITGPT, "Epoch 4 | iter 97 step 24 | loss train: 1.5, val: 1.25 | iter time: 5.5 ms",
         24, {"iter": 97.0, "loss": 1.5, "val": 1.25, "ms": 5.5}),
        (LITGPT, "iter 8 step 2: loss 1.2345, iter time: 123.4ms (optimizer.step)", 2,
         {"iter": 8.0, "loss": 1.2345, "ms": 123.4}),
        (NANOGPT, "iter 40: loss 7.2135, time 181.20ms, mfu -100.00%", 40,
         {"loss": 7.2135, "time_ms": 181.2, "mfu_pct": -100.0}),
        (NANOGPT, "[rank0]: iter 41: loss 7.2 BPC, time 181.20ms", 41,
         {"loss": 7.2, "time_ms": 181.2}),
        (NANOGPT, "iter 42: loss nan, time 181.20ms, mfu 3.5%", 42,
         {"loss": float("nan"), "time_ms": 181.2, "mfu_pct": 3.5}),
        (NANOGPT, "step 250: train loss 1.5, val loss 2.5", 250,
         {"train_loss": 1.5, "val_loss": 2.5}),
        (NANOGPT, "step 250: train loss 1.5 BPC, val loss 2.5 BPC", 250,
         {"train_loss": 1.5, "val_loss": 2.5}),
        (LOG_TXT, "250 hella 0.2498", 250, {"hella": 0.2498}),
        (BUILD, "step     0 | loss: 11.08 | lr 8.3916e-07 | norm: 23.1 | dt: 22621.5ms |"
         " tok/sec: 23176.5", 0,
         {"loss": 11.08, "lr": 8.3916e-07, "norm": 23.1, "dt": 22621.5, "tok/sec": 23176.5}),
        (MAIN_LOG, "s:250 tel:6.5", 250, {"tel": 6.5}),
        (MAIN_LOG, "s:251 trl:6.5 lr:0.000215 norm:nan", 251,
         {"trl": 6.5, "lr": 0.000215, "norm": float("nan")}),
        (MODDED, "step:0/1400 val_loss:10.5 train_time:0ms step_avg:nanms", 0,
         {"val_loss": 10.5, "train_time": 0.0, "step_avg": float("nan")}),
        (MODDED, "step:9/1400 train_loss:1.5 train_time:1.5s step_avg:0.25s", 9,
         {"train_loss": 1.5, "train_time": 1500.0, "step_avg": 250.0}),
        (NANOCHAT, "step 02000/21400 (9.35%) | loss: 3.5 | lrm: 1.00 | dt: 1415.5ms |"
         " tok/sec: 11,577 | bf16_mfu: 47.5 | epoch: 1 pq: 0 rg: 1 | total time: 44.5m |"
         " eta: 4427.7m", 2000,
         {"loss": 3.5, "lrm": 1.0, "dt": 1415.5, "tok/sec": 11577.0, "bf16_mfu": 47.5,
          "epoch": 1.0, "total time": 44.5}),
        (NANOCHAT, "Step 02000 | Validation bpb: 1.25", 2000, {"Validation bpb": 1.25}),
        (NANOCHAT, "Step 60 | Pass@1: 0.05, Pass@8: 0.25", 60, {"Pass@1": 0.05, "Pass@8": 0.25}),
        (MLX, "Iter 10: Train loss 2.5, Learning Rate 1.000e-05, It/sec 0.5, Tokens/sec 161.5,"
         " Trained Tokens 3290, Peak mem 9.75 GB", 10,
         {"Train loss": 2.5, "Learning Rate": 1e-05, "It/sec": 0.5, "Tokens/sec": 161.5,
          "Trained Tokens": 3290.0, "Peak mem": 9.75}),
        (MLX, "Iter 1: Val loss 2.5, Val took 5.25s", 1, {"Val loss": 2.5, "Val took": 5.25}),
        (OPENRLHF, "✨ Global step 3: {'policy_loss': -0.25, 'kl': np.float64(0.5), 'n': 'x',"
         " 'ok': True, 'reward': nan}", 3,
         {"policy_loss": -0.25, "kl": 0.5, "reward": float("nan")}),
    ],
)  # fmt: skip
def test_lines(chosen: LineFormat, line: str, step: int, values: dict[str, float]) -> None:
    found = points(items_of(chosen, line))
    assert str(found) == str({name: [(step, value)] for name, value in values.items()})


def test_llmc_says_the_total_and_the_loss_on_held_out_data_after_its_step() -> None:
    text = (
        "val loss 11.0\n"
        "step    1/19560 | loss 10.5 (+nanz)| norm 15.5 (+nanz)| lr 1.00e-06 | 310.5 ms |"
        " 45.5% bf16 MFU | 151768 tok/s\n"
        "val loss 9.5\n"
    )
    about, train, held_out = items_of(LLMC, text)
    assert about == About(total_steps=19560)
    assert points([train]) == {
        "loss": [(1, 10.5)], "norm": [(1, 15.5)], "lr": [(1, 1e-06)], "ms": [(1, 310.5)],
        "bf16 MFU": [(1, 45.5)], "tok/s": [(1, 151768.0)],
    }  # fmt: skip
    assert points([held_out]) == {"val loss": [(1, 9.5)]}


def test_autoresearch_never_ends_its_line_before_the_summary() -> None:
    text = (
        "\rstep 00010 (1.2%) | loss: 5.5 | lrm: 0.33 | dt: 325ms | tok/sec: 1,611,234 |"
        " mfu: 39.5% | epoch: 1 | remaining: 298s    "
        "\rstep 00011 (1.3%) | loss: 5.25 | lrm: 0.33 | dt: 324ms | tok/sec: 1,611,240 |"
        " mfu: 39.5% | epoch: 1 | remaining: 297s    \n"
        "---\nval_bpb:          0.9979\npeak_vram_mb:     45060.2\n"
    )
    items = items_of(NANOCHAT, text)
    found = points(items)
    assert found["loss"] == [(10, 5.5), (11, 5.25)]
    assert found["mfu"] == [(10, 39.5), (11, 39.5)]
    assert found["val_bpb"] == [(11, 0.9979)]
    assert "remaining" not in found
    assert isinstance(items[-1], End)


def test_the_source_code_in_front_of_a_modded_log_is_not_read() -> None:
    text = (
        "step = 3/4\n"
        'print(f"step:{step}/{total} val_loss:{v:.4f} train_time:{t}ms")\n'
        "peak memory is 3\n"
        "step:1/2 train_time:230ms step_avg:229.84ms\n"
        "step:2/2 val_loss:3.5 train_time:460ms step_avg:230.00ms\n"
        "peak memory allocated: 36348 MiB reserved: 52032 MiB\n"
        "final_int8_zlib_roundtrip val_loss:2.0 val_bpb:1.2 eval_time:1639ms\n"
    )
    items = items_of(MODDED, text)
    assert [type(item).__name__ for item in items] == [
        "About", "Points", "Points", "End", "Note",
    ]  # fmt: skip
    assert items[0] == About(total_steps=2)
    assert points(items)["val_loss"] == [(2, 3.5)]


@pytest.mark.parametrize(
    ("chosen", "text", "steps"),
    [
        (NANOGPT, "step 0: train loss 4.5, val loss 4.5\nsaving checkpoint to out", [0]),
        (LITGPT, "Epoch 1 | iter 1 step 1 | loss train: 1.0, val: n/a | iter time: 1.00 ms\n"
         "Saving LoRA weights to 'out/final'", [1]),
        (MLX, "Iter 100: Saved adapter weights to adapters.safetensors and 0100.safetensors.",
         [100]),
        (NANOGPT, "saving checkpoint to out", []),
        (LITGPT, "Saving checkpoint to 'out'", []),
    ],
)  # fmt: skip
def test_checkpoints(chosen: LineFormat, text: str, steps: list[int]) -> None:
    notes = [item for item in items_of(chosen, text) if isinstance(item, Note)]
    assert [(note.level, note.step) for note in notes] == [("checkpoint", s) for s in steps]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (MLX, "Saved final weights to adapters/adapters.safetensors."),
        (LITGPT, "Epoch 1 | iter 1 step 1 | loss train: 1.0, val: n/a | iter time: 1.00 ms\n"
         "Training time: 583.36s"),
        (NANOCHAT, "step 00001 | loss: 9.0 | lrm: 1.00 | dt: 10.00ms\n"
         "Total training time: 44.50m"),
    ],
)  # fmt: skip
def test_ends(chosen: LineFormat, text: str) -> None:
    last = items_of(chosen, text)[-1]
    assert isinstance(last, End)
    assert last.reason == "finished"


def test_mlx_says_the_total() -> None:
    assert items_of(MLX, "Starting training..., iters: 1000") == [About(total_steps=1000)]


def test_litgpt_evaluations_belong_to_the_step_before() -> None:
    text = (
        "Epoch 1 | iter 8 step 2 | loss train: 1.0, val: n/a | iter time: 1.00 ms\n"
        "iter 8: val loss 1.5, val time: 20.00 ms\n"
        "Final evaluation | val loss: 1.25 | val ppl: 3.49\n"
    )
    assert points(items_of(LITGPT, text))["val loss"] == [(2, 1.5), (2, 1.25)]
