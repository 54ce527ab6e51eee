"""OLMo and OLMo-core."""

from __future__ import annotations

from datetime import datetime

from reading import items_of, points

from llmtop.formats.base import About, End, Note, Points
from llmtop.formats.olmo import FORMATS

(OLMO,) = FORMATS
AT = "2025-04-09 08:12:30.500\tnode-3:0\tolmo.train:966\tINFO\t"


def test_a_block_has_the_step_and_time_of_its_header() -> None:
    text = (
        "    train/CrossEntropyLoss=9.9\n" + AT + "[step=120/5000,epoch=0]\n"
        "    train/CrossEntropyLoss=6.5\n"
        "    train/Perplexity=8,641\n"
        "    throughput/total_tokens=1.5B\n"
        "    System/Peak GPU Memory (MB)=38,869\n"
        "    optim/total_grad_norm=nan\n"
        "    optim/state=warm\n"
    )
    items = items_of(OLMO, text)
    assert items[0] == About(total_steps=5000)
    time = datetime(2025, 4, 9, 8, 12, 30, 500_000).timestamp()
    assert all(item.time == time for item in items if isinstance(item, Points))
    found = points(items)
    assert str(found.pop("optim/total_grad_norm")) == "[(120, nan)]"
    assert found == {
        "train/CrossEntropyLoss": [(120, 6.5)], "train/Perplexity": [(120, 8641.0)],
        "throughput/total_tokens": [(120, 1.5e9)],
        "System/Peak GPU Memory (MB)": [(120, 38869.0)],
    }  # fmt: skip


def test_the_header_of_olmo_core_has_an_eta() -> None:
    text = AT + "[step=10/1000,epoch=1,eta=1:02:03]\n    train/CE loss=2.5\n"
    assert points(items_of(OLMO, text)) == {"train/CE loss": [(10, 2.5)]}


def test_checkpoints_and_the_end() -> None:
    text = (
        AT + "[step=10,epoch=0]\n" + AT + "Unsharded checkpoint saved to /ckpt/step10-unsharded\n"
        + AT + "Training complete\n"
    )  # fmt: skip
    note, end = items_of(OLMO, text)
    assert isinstance(note, Note)
    assert (note.level, note.step) == ("checkpoint", 10)
    assert isinstance(end, End)
