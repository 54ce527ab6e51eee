"""A run is called after its file, or its folder where every run has such a file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from llmtop.sources.naming import Names, names


@pytest.mark.parametrize(("path", "name"), [
    ("/jobs/llama.log", "llama"),
    ("/jobs/llama/train.log", "llama"),
    ("/jobs/llama/logs/train.log", "llama"),
    ("/out/sft/checkpoint-500/trainer_state.json", "sft"),
    ("/x/lightning_logs/version_3/metrics.csv", "lightning_logs/version_3"),
    ("/x/exp/events.out.tfevents.170.host.1.0", "exp"),
    ("/x/run-abc.wandb", "run-abc"),
    ("/x/slurm-123.out", "slurm-123"),
    ("/train.log", "train"),
])  # fmt: skip
def test_names(path: str, name: str) -> None:
    assert next(names(Path(path))) == name


def test_longer_names_when_the_short_one_is_taken() -> None:
    assert list(islice(names(Path("/a/b/c.log")), 3)) == ["c", "b/c", "a/b/c"]
    given = Names()
    assert given.for_path(Path("/a/x.log"), "1") == "x"
    assert given.for_path(Path("/b/x.log"), "2") == "b/x"
    assert given.for_text("x", "3") == "x #2"
