"""A real Lightning fit, under both names of the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listener import Listener

pytest.importorskip("torch", reason="needs the frameworks extra")

SCRIPT = """
import sys, torch
if sys.argv[1] == "lightning":
    import lightning.pytorch as pl
else:
    import pytorch_lightning as pl
from llmtop.integrations.lightning import HOST, LlmtopLogger
assert HOST.startswith(sys.argv[1]), HOST

class Model(pl.LightningModule):
    def __init__(self, width=3):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(width, 1)
    def training_step(self, batch, at):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("train_loss", loss)
        self.logger.experiment.observe("lengths", 3.0)
        return loss
    def validation_step(self, batch, at):
        self.log("val_loss", self.layer(batch[0]).pow(2).mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(16, 3)), batch_size=4)
trainer = pl.Trainer(max_steps=8, logger=LlmtopLogger("fit", tags={"team": "a"}),
                     log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
                     enable_model_summary=False, default_root_dir=sys.argv[2])
trainer.fit(Model(), data, data)
"""


@pytest.mark.parametrize("host", ["lightning", "pytorch_lightning"])
def test_a_fit(rendezvous: Path, tmp_path: Path, host: str) -> None:
    pytest.importorskip(host, reason="needs the frameworks extra")
    with Listener(rendezvous) as hub:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, host, str(tmp_path)], stderr=subprocess.PIPE, text=True
        )
        try:
            hub.until(lambda: hub.sessions or process.poll(), 50)
            heard = hub.hear()
        finally:
            _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert [step for step, _ in heard.points("train_loss")] == list(range(8))
    assert len(heard.values("val_loss")) == 2
    assert heard.values("lengths") == [3.0] * 8
    hello = heard.hellos[0]
    assert (hello["name"], hello["total_steps"]) == ("fit", 8)
    assert hello["tags"] == {"team": "a", "config": {"width": 3}}
    assert any("checkpoint" in text and ".ckpt" in text for text in heard.texts("info"))
    assert heard.bye == {"reason": "finished", "text": ""}


@pytest.mark.filterwarnings("ignore")
def test_a_failed_fit_has_failed(told: Callable[..., Any]) -> None:
    pytest.importorskip("lightning", reason="needs the frameworks extra")
    from llmtop.integrations.lightning import LlmtopLogger

    def work() -> None:
        logger = LlmtopLogger("x", total_steps=5)
        logger.log_metrics({"a": 1.0}, step=2)
        logger.finalize("failed")

    heard = told(work)
    assert heard.points("a") == [(2, 1.0)]
    assert heard.bye["reason"] == "failed"
