"""Composer and llm-foundry."""

from __future__ import annotations

from reading import items_of, points

from llmtop.formats.base import About
from llmtop.formats.composer import FORMATS

(COMPOSER,) = FORMATS


def test_the_step_comes_from_the_header() -> None:
    text = (
        "\t Train loss/train/total: 9.9\n"
        "[batch=20/400]:\n"
        "\t Train time/epoch: 0\n"
        "\t Train loss/train/total: 7.5\n"
        "\t Train metrics/train/LanguageCrossEntropy: nan\n"
        "\t Train trainer/object: <composer.core.State object at 0x7f>\n"
        "\t Eval metrics/eval/Accuracy: 0.25\n"
    )
    items = items_of(COMPOSER, text)
    assert items[0] == About(total_steps=400)
    found = points(items)
    assert str(found.pop("metrics/train/LanguageCrossEntropy")) == "[(20, nan)]"
    assert found == {
        "time/epoch": [(20, 0.0)], "loss/train/total": [(20, 7.5)],
        "metrics/eval/Accuracy": [(20, 0.25)],
    }  # fmt: skip


def test_batches_of_an_epoch_go_on_from_the_one_before() -> None:
    text = (
        "[epoch=1][batch=1563/1563]:\n\t Train loss/train/total: 1.5\n"
        "[epoch=2][batch=1/1563]:\n\t Train loss/train/total: 1.25\n"
    )
    assert points(items_of(COMPOSER, text)) == {
        "loss/train/total": [(1563, 1.5), (1564, 1.25)]
    }


def test_lines_of_the_file_logger() -> None:
    text = "[metric][batch=5]: loss/train/total: 2.5 \n[hparams]: x: 3\n"
    assert points(items_of(COMPOSER, text)) == {"loss/train/total": [(5, 2.5)]}
