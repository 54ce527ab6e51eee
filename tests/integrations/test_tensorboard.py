"""Code written for a SummaryWriter publishes when one import is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmtop.tensorboard import SummaryWriter, run_name


def test_a_typical_writer(told: Callable[..., Any]) -> None:
    def work() -> None:
        with SummaryWriter(log_dir="runs/exp1/train", flush_secs=10) as writer:
            for step in range(3):
                writer.add_scalar("Loss/train", 1.0 / (1 + step), step)
            writer.add_scalar("no step", 4.0)
            writer.add_scalars("both", {"a": 1, "b": 2}, global_step=3, walltime=1.0)
            writer.add_hparams({"lr": 0.1}, {"hparam/loss": 0.5}, run_name="x")
            writer.add_text("note", "hello", 1)
            writer.add_histogram("weights", [1, 2], 0)
            writer.add_histogram("weights", [1, 2], 1)
            writer.flush()
            assert writer.get_logdir() == writer.log_dir == "runs/exp1/train"
            with pytest.raises(AttributeError):
                _ = writer.nonsense

    heard = told(work)
    assert heard.hellos[0]["name"] == "exp1/train"
    assert heard.points("Loss/train") == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert heard.points("no step") == [(2, 4.0)]
    assert heard.points("both/a") + heard.points("both/b") == [(3, 1.0), (3, 2.0)]
    assert heard.points("hparam/loss") == [(3, 0.5)]
    assert heard.texts("note") == ["lr = 0.1", "note: hello"]
    assert heard.texts("warning") == ["add_histogram() is accepted, not drawn"]
    assert heard.bye == {"reason": "finished", "text": ""}


def test_after_close_a_writer_goes_on_and_a_given_run_stays_open(told: Callable[..., Any]) -> None:
    import llmtop

    def work() -> None:
        writer = SummaryWriter("logs/one")
        writer.close()
        writer.add_scalar("late", 1.0, 5)
        writer.close()
        given = llmtop.init("given")
        SummaryWriter(run=given).close()
        given.event("open")
        given.finish()

    first, second, given = told(work, runs=3)
    assert first.hellos[0]["name"] == second.hellos[0]["name"] == "one"
    assert second.points("late") == [(5, 1.0)]
    assert given.texts("info") == ["open"]


def test_a_failing_block_has_failed(told: Callable[..., Any]) -> None:
    def fail() -> None:
        with SummaryWriter("x"):
            raise ValueError("no")

    def work() -> None:
        with pytest.raises(ValueError, match="no"):
            fail()

    assert told(work).bye == {"reason": "failed", "text": "ValueError: no"}


@pytest.mark.parametrize(
    ("log_dir", "comment", "name"),
    [
        (None, "", None), (None, "_LR_0.1", "LR_0.1"), ("runs", "", None), ("./runs/a", "", "a"),
        ("/data/x/exp/val", "c", "exp/val"),
    ],
)  # fmt: skip
def test_a_folder_names_the_run(log_dir: str | None, comment: str, name: str | None) -> None:
    assert run_name(log_dir, comment) == name
