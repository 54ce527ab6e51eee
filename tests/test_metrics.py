"""The vocabulary finds what people log."""

import pytest

from llmtop.metrics import METRICS, find, fold, group


@pytest.mark.parametrize(
    ("logged", "name"),
    [
        ("loss", "loss"), ("train/loss", "loss"), ("lm loss", "loss"), ("train_loss", "loss"),
        ("Train/Loss", "loss"), ("eval/loss", "eval_loss"), ("eval_loss", "eval_loss"),
        ("val/loss", "eval_loss"), ("acc", "accuracy"), ("train/accuracy", "accuracy"),
        ("eval/accuracy", "eval_accuracy"), ("lr", "learning_rate"),
        ("optim/learning_rate", "learning_rate"), ("grad_norm", "grad_norm"),
        ("optim/total_grad_norm", "grad_norm"), ("tokens_per_second", "tokens_per_second"),
        ("throughput/tokens_per_sec", "tokens_per_second"), ("mfu", "mfu"),
        ("samples_per_second", "samples_per_second"), ("ttft_seconds", "ttft_seconds"),
        ("itl_seconds", "itl_seconds"), ("e2e_seconds", "e2e_seconds"),
        ("eval/perplexity", "perplexity"), ("llmtop/dropped", "llmtop_dropped"),
        ("gpu0/gpu_utilization", "gpu_utilization"),
        ("gpu12/mig3/gpu_memory_used_bytes", "gpu_memory_used_bytes"),
    ],
)
def test_known_names(logged: str, name: str) -> None:
    found = find(logged)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "logged", ["foo", "train/foo", "loss/foo", "", "/", "eval/", "losses", "gpu0", "gpu0/x"]
)
def test_unknown_names(logged: str) -> None:
    assert find(logged) is None


def test_every_alias_leads_home_and_no_name_is_taken_twice() -> None:
    seen: dict[str, str] = {}
    for metric in METRICS:
        for alias in (metric.name, *metric.aliases):
            assert find(alias) is metric
            assert seen.setdefault(fold(alias), metric.name) == metric.name


def test_group_is_the_prefix() -> None:
    assert group("a/b/c") == "a"
    assert group("plain") == ""
