"""NeMo 2: its progress printer's lines; the value of a metric that is not new is printed again."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console, bars
from llmtop.formats.numbers import step_of

_LINE = re.compile(r"\bTraining epoch \d{1,9}, iteration (\d{1,12})/(\d{1,12}) \|")


class Nemo(Console):
    """Reads training lines; those of validation hold only how far it is."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LINE.search(line)
        if found is None:
            return None
        values = bars(line[found.end() :])
        if not values:
            return None
        step = step_of(values.get("global_step", float(found.group(1))))
        return (Points(values, step),)


FORMATS = (
    LineFormat(
        name="nemo",
        title="NeMo 2",
        example=(
            "Training epoch 0, iteration 12/400 | lr: 2.5e-06 | global_batch_size: 32 |"
            " global_step: 12 | reduced_train_loss: 8.914 | train_step_timing in s: 0.4102"
        ),
        marks=("Training epoch ",),
        reader=Nemo,
        units={"train_step_timing in s": "seconds"},
    ),
)
