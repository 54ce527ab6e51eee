"""What consoles call a number is found in the vocabulary, in its unit."""

from __future__ import annotations

from importlib import import_module

import pytest

from llmtop.metrics import find
from llmtop.quantities import convert


@pytest.mark.parametrize(
    ("module", "logged", "name", "value", "stored"),
    [
        ("megatron", "elapsed time per iteration (ms)", "step_time_seconds", 612.5, 0.6125),
        ("megatron", "validation/lm loss value", "eval_loss", 8.5, 8.5),
        ("megatron", "throughput per GPU (TFLOP/s/GPU)", "tflops", 80.0, 80.0),
        ("megatron", "samples/sec", "samples_per_second", 51.0, 51.0),
        ("nemo", "train_step_timing in s", "step_time_seconds", 0.5, 0.5),
        ("deepspeed", "cur_sps", "samples_per_second", 171.0, 171.0),
        ("torchtitan", "mfu", "mfu", 50.0, 0.5),
        ("torchtitan", "validate/loss", "eval_loss", 2.5, 2.5),
        ("buildnanogpt", "val", "eval_loss", 2.5, 2.5),
        ("buildnanogpt", "train", "loss", 2.5, 2.5),
        ("llmc", "tel", "eval_loss", 2.5, 2.5),
        ("llmc", "trl", "loss", 2.5, 2.5),
        ("modded", "step_avg", "step_time_seconds", 250.0, 0.25),
        ("nanochat", "dt", "step_time_seconds", 250.0, 0.25),
        ("nanochat", "bf16_mfu", "mfu", 50.0, 0.5),
        ("nanochat", "tok/sec", "tokens_per_second", 5.0, 5.0),
        ("nanochat", "Validation bpb", "bits_per_byte", 1.25, 1.25),
        ("olmo", "train/CrossEntropyLoss", "loss", 2.5, 2.5),
        ("olmo", "throughput/device/TPS", "tokens_per_second_per_gpu", 2.5, 2.5),
        ("composer", "loss/train/total", "loss", 2.5, 2.5),
        ("composer", "metrics/eval/LanguageCrossEntropy", "eval_loss", 2.5, 2.5),
        ("maxtext", "eval/loss", "eval_loss", 2.5, 2.5),
        ("mlx", "Tokens/sec", "tokens_per_second", 5.0, 5.0),
        ("verl", "timing_s/step", "step_time_seconds", 5.0, 5.0),
        ("vllm", "kv_pct", "kv_cache_usage", 41.5, 0.415),
        ("vllm", "gen_tps", "tokens_per_second", 5.0, 5.0),
        ("vllm", "prompt_tps", "prompt_tokens_per_second", 5.0, 5.0),
        ("vllm", "running", "requests_running", 5.0, 5.0),
        ("sglang", "decode/full token usage", "kv_cache_usage", 0.5, 0.5),
        ("sglang", "decode/#queue-req", "requests_waiting", 5.0, 5.0),
        ("sglang", "decode/gen throughput (token/s)", "tokens_per_second", 5.0, 5.0),
        ("llamacpp", "eval_tps", "tokens_per_second", 5.0, 5.0),
    ],
)
def test_a_logged_name_lands_in_its_panel(
    module: str, logged: str, name: str, value: float, stored: float
) -> None:
    known = find(logged)
    assert known is not None
    assert known.name == name
    units = import_module(f"llmtop.formats.{module}").FORMATS[-1].units
    factor, unit = convert(logged, units.get(logged, ""))
    assert value * factor == pytest.approx(stored)
    assert unit in ("", known.unit)
