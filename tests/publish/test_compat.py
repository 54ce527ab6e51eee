"""`import llmtop as wandb`: a typical script runs, and what it logs is there."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listener import Listener

import llmtop
from llmtop.wire import DROPPED_NAME

SCRIPT = '''
import argparse
import llmtop as wandb

wandb.login()
run = wandb.init(project="gpt", group="night", config={"lr": 0.1, "layers": 2}, mode="offline",
                 settings=wandb.Settings(silent=True))
assert wandb.run is run and run.project == "gpt"
wandb.config.update({"lr": 0.2}, allow_val_change=True)
wandb.config.seed = 7
assert (wandb.config.lr, wandb.config["layers"], run.config.seed) == (0.2, 2, 7)
wandb.define_metric("val/*", step_metric="epoch")
wandb.watch(object(), log="all")
table = wandb.Table(columns=["a"])
table.add_data(1)
for step in range(3):
    wandb.log({"train/loss": 1.0 / (1 + step)}, commit=False)
    wandb.log({"train/acc": 0.5, "sample": wandb.Image(object()), "table": table})
wandb.log({"late": 1.0}, step=10)
run.summary["best"] = 0.9
wandb.summary.update({"last": 0.8})
assert wandb.run.summary["best"] == 0.9
wandb.alert(title="low", text="accuracy", level=wandb.AlertLevel.WARN)
wandb.save("model.pt")
wandb.run.name = "other"
wandb.finish(exit_code=0)
assert wandb.run is None
'''


def test_a_typical_script(rendezvous: Path, script: Callable[..., Any]) -> None:
    with Listener(rendezvous) as hub:
        process = script(SCRIPT)
        heard = hub.hear()
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert heard.points("train/loss") == [(0, 1.0), (1, 0.5), (2, 1.0 / 3)]
    assert heard.points("train/acc") == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert heard.points("late") == [(10, 1.0)]
    assert heard.values("summary/best") + heard.values("summary/last") == [0.9, 0.8]
    assert heard.values(DROPPED_NAME) == []
    hello = heard.hellos[-1]
    assert hello["name"] == "gpt"
    assert hello["tags"]["group"] == "night"
    warnings = heard.texts("warning")
    assert warnings.count("Image is accepted, not shown") == 1
    assert "define_metric() is accepted, not shown" in warnings
    assert "init() ignores mode, settings" in warnings
    assert "low: accuracy" in warnings
    assert "config lr = 0.2" in heard.texts("note")
    assert heard.bye == {"reason": "finished", "text": ""}


def test_a_later_monitor_is_told_the_changed_config(rendezvous: Path) -> None:
    run = llmtop.init("r", config={"lr": 0.1}, tags={"team": "a"})
    run.config.lr = 0.5
    with Listener(rendezvous) as hub:
        hub.until(lambda: hub.sessions)
        tags = hub.only().hellos[0]["tags"]
    assert tags == {"team": "a", "config": {"lr": 0.5}}


class Awkward:
    """Whatever is asked of it, it fails."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class AwkwardTags(dict[str, object]):
    def keys(self) -> Any:
        raise RuntimeError("not now")


def test_the_config_takes_what_that_of_wandb_takes(rendezvous: Path) -> None:
    run = llmtop.init("r", config=argparse.Namespace(lr=0.1))
    run.config.update(argparse.Namespace(seed=7))
    run.config.update({"lr": 0.2}, True)
    run.config.update([("layers", 3)])
    run.config.update(None)
    assert run.config.as_dict() == {"lr": 0.2, "seed": 7, "layers": 3}
    assert type(run.config.as_dict()) is dict


def test_what_cannot_be_said_raises_nothing_and_is_told(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init("r", config=5)
        run.config["odd"] = Awkward()
        run.config.update({"odder": Awkward()})
        run.config.update(3)
        run.summary.update({Awkward(): 1.0})
        run.alert(Awkward(), "text", Awkward())
        run.alert("title", Awkward())
        heard = hub.hear(lambda heard: len(heard.texts("warning")) == 6)
    assert sorted(heard.texts("warning")) == [
        "alert() failed: ValueError", "config could not be read: TypeError",
        "config could not be told: TypeError", "config could not be told: ValueError",
        "summary could not be told: ValueError", "tag 'config' cannot be told as JSON",
    ]  # fmt: skip


@pytest.mark.parametrize("given", [
    {"project": Awkward()}, {"endpoint": Awkward()}, {"tags": AwkwardTags(a=1), "group": "g"},
    {"project": "p", "tags": Awkward()},
])  # fmt: skip
def test_init_raises_nothing_whatever_it_is_given(given: dict[str, Any]) -> None:
    assert llmtop.init(**given).name


@pytest.mark.parametrize("name", ["sweep", "agent", "use_artifact", "Api", "no_such_thing"])
def test_what_is_not_there_says_so(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(llmtop, name)


def test_an_exit_code_says_how_it_ended(rendezvous: Path, script: Callable[..., Any]) -> None:
    with Listener(rendezvous) as hub:
        process = script("import llmtop\nllmtop.init('r')\nllmtop.finish(exit_code=3)\n")
        heard = hub.hear()
        process.communicate(timeout=20)
    assert heard.bye["reason"] == "failed"


def test_nobody_takes_a_face_of_wandb_for_a_module_of_ours() -> None:
    source = Path(llmtop.__file__).parent
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"from llmtop import .*\b(config|run|summary)\b", text), path
