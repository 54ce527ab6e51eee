"""Frameworks heed a request to stop, where their run allows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from listener import Listener

from llmtop.integrations.stopping import ranks_agree
from llmtop.wire import Kind

torch = pytest.importorskip("torch", reason="needs the frameworks extra")

HUGGING_FACE = """
import sys, torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
from llmtop.integrations.transformers import LlmtopCallback
class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, at):
        ids = torch.arange(at, at + 16) % 50
        return {"input_ids": ids, "labels": ids}
model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=1, n_head=2))
args = TrainingArguments(output_dir=sys.argv[2], max_steps=int(sys.argv[1]), report_to=[],
                         logging_steps=1, per_device_train_batch_size=4, save_strategy="no",
                         disable_tqdm=True, use_cpu=True)
callback = LlmtopCallback(name="hf", stoppable=sys.argv[3] == "stoppable")
trainer = Trainer(model=model, args=args, train_dataset=Data(), callbacks=[callback])
trainer.train()
print("ended at", trainer.state.global_step)
"""
LIGHTNING = """
import sys, torch
import lightning.pytorch as pl
from llmtop.integrations.lightning import LlmtopLogger, LlmtopStopper
class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
    def training_step(self, batch, at):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("train_loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(16, 3)), batch_size=4)
logger = LlmtopLogger("fit", stoppable=sys.argv[3] == "stoppable")
trainer = pl.Trainer(max_steps=int(sys.argv[1]), logger=logger, callbacks=[LlmtopStopper(logger)],
                     log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
                     enable_model_summary=False, default_root_dir=sys.argv[2],
                     enable_checkpointing=False)
trainer.fit(Model(), data)
print("ended at", trainer.global_step)
"""
HOSTS = [("transformers", HUGGING_FACE), ("lightning", LIGHTNING)]
MANY = 1_000_000
"""Steps that no test waits for."""


def train(rendezvous: Path, folder: Path, script: str, steps: int, mode: str) -> Any:
    """Train until it ends, asking it to stop as soon as it has logged; return its last step."""
    with Listener(rendezvous) as hub:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", script, str(steps), str(folder), mode],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            hub.until(lambda: process.poll() is not None
                      or (hub.sessions and hub.only().samples), 50)
            (session, identity), = hub.identities.items()
            hub.ask(identity, Kind.CONTROL, b'{"action": "stop", "reason": "enough"}', session)
            heard = hub.hear()
        finally:
            if process.poll() is None and sys.exc_info()[0]:
                process.kill()
            out, errors = process.communicate(timeout=50)
    assert process.returncode == 0, errors
    return int(out.split("ended at")[1]), heard


@pytest.mark.parametrize(("host", "script"), HOSTS)
def test_it_stops_when_asked(rendezvous: Path, tmp_path: Path, host: str, script: str) -> None:
    pytest.importorskip(host, reason="needs the frameworks extra")
    last, heard = train(rendezvous, tmp_path, script, MANY, "stoppable")
    assert 0 < last < MANY
    assert "asked to stop: enough" in heard.texts("warning")
    assert heard.bye["reason"] == "finished"


@pytest.mark.parametrize(("host", "script"), HOSTS)
def test_one_that_did_not_allow_it_goes_on(
    rendezvous: Path, tmp_path: Path, host: str, script: str
) -> None:
    pytest.importorskip(host, reason="needs the frameworks extra")
    last, _ = train(rendezvous, tmp_path, script, 400, "")
    assert last == 400


RANKS = """
import sys, torch
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1],
                                     rank=int(sys.argv[2]), world_size=2)
sys.path.insert(0, sys.argv[3])
from llmtop.integrations.stopping import ranks_agree
for step in range(1, 100):
    # Only rank 1 has been asked, after step 13.
    if ranks_agree(sys.argv[2] == "1" and step > 13, step, torch.device("cpu")):
        print("stopped at", step)
        break
torch.distributed.destroy_process_group()
"""


def test_all_ranks_stop_at_one_step(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", RANKS, str(tmp_path / "meet"), rank,
                          "src"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]  # fmt: skip
    said = [rank.communicate(timeout=50) for rank in ranks]
    assert [out for out, _ in said] == ["stopped at 20\n"] * 2, said
    assert ranks_agree(True, 13, "cpu")
