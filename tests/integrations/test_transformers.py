"""A real Trainer on a tiny random model: the callback's curve is the Trainer's own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the frameworks extra")
pytest.importorskip("transformers", reason="needs the frameworks extra")
pytest.importorskip("accelerate", reason="needs the frameworks extra")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    class Data(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return 64

        def __getitem__(self, at: int) -> dict[str, Any]:
            ids = torch.arange(at, at + 16) % 50
            return {"input_ids": ids, "labels": ids}

    def trainer(callbacks: list[Any], **more: Any) -> Any:
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2)
        )
        settings = {
            "output_dir": str(tmp_path / "tiny"), "max_steps": 20, "logging_steps": 2,
            "per_device_train_batch_size": 4, "save_steps": 10, "report_to": [],
            "disable_tqdm": True, "use_cpu": True, "seed": 1, **more,
        }  # fmt: skip
        return Trainer(
            model=model, args=TrainingArguments(**settings), train_dataset=Data(),
            eval_dataset=Data(), callbacks=callbacks,
        )  # fmt: skip

    return trainer


def curve(history: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(line["step"], float(line[name])) for line in history if name in line]


def test_the_callback_stdout_and_the_saved_state_show_one_curve(
    make: Callable[..., Any], told: Callable[..., Any], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from llmtop.integrations.transformers import LlmtopCallback

    trainer = make(
        [LlmtopCallback()], eval_strategy="steps", eval_steps=10, hub_token="secret-token"
    )
    heard = told(trainer.train)
    history = trainer.state.log_history
    for name in ("loss", "eval_loss", "grad_norm", "learning_rate", "epoch"):
        expected = curve([line for line in history if "train_loss" not in line], name)
        assert heard.points(name) == expected
    assert len(heard.points("loss")) == 10
    hello = heard.hellos[0]
    assert (hello["name"], hello["total_steps"], hello["phase"]) == ("tiny", 20, "train")
    assert hello["tags"]["config"]["logging_steps"] == 2
    assert hello["tags"]["model"] == "gpt2"
    assert hello["tags"]["parameters"] > 0
    assert "secret-token" not in json.dumps(hello)
    events = heard.texts("info")
    assert [text for text in events if "checkpoint" in text] == [
        "checkpoint 10 saved", "checkpoint 20 saved",
    ]  # fmt: skip
    assert any(text.startswith("trained:") and "train_loss" in text for text in events)
    assert heard.values("train_loss") == []
    assert heard.bye == {"reason": "finished", "text": ""}

    saved = json.loads((tmp_path / "tiny" / "checkpoint-20" / "trainer_state.json").read_text())
    assert curve(saved["log_history"], "loss") == heard.points("loss")
    # What is printed has fewer digits, so that it can only be near.
    printed = [line for line in capsys.readouterr().out.splitlines() if "'loss'" in line]
    assert len(printed) == 10
    for line, (_, value) in zip(printed, heard.points("loss"), strict=True):
        told_loss = float(line.split("'loss':")[1].split(",")[0].strip().strip("'"))
        assert math.isclose(told_loss, value, rel_tol=1e-3)


def test_report_to_finds_it_by_name_and_a_later_evaluation_is_a_run(
    make: Callable[..., Any], told: Callable[..., Any]
) -> None:
    import llmtop.integrations.transformers  # noqa: F401 - makes the name known

    trainer = make([], report_to=["llmtop"], max_steps=2, run_name="mine")

    def work() -> None:
        trainer.train()
        trainer.evaluate()

    train, evaluation = told(work, runs=2)
    assert [one.hellos[0]["phase"] for one in (train, evaluation)] == ["train", "eval"]
    assert train.hellos[0]["name"] == evaluation.hellos[0]["name"] == "mine"
    assert len(evaluation.values("eval_loss")) == 1


def test_nan_is_kept_and_a_given_run_stays_open(
    make: Callable[..., Any], told: Callable[..., Any]
) -> None:
    import llmtop
    from llmtop.integrations.transformers import LlmtopCallback

    def work() -> None:
        run = llmtop.init("given")
        trainer = make(
            [LlmtopCallback(run)], max_steps=2, logging_nan_inf_filter=False, save_strategy="no"
        )
        with torch.no_grad():
            trainer.model.lm_head.weight.fill_(math.nan)
        trainer.train()
        run.event("still open")
        run.finish()

    heard = told(work)
    assert math.isnan(heard.values("loss")[0])
    assert "still open" in heard.texts("info")
