"""MaxText: a line a step by absl's logging, whose times have no year."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number, timestamp

_TRAIN = re.compile(r"\bcompleted step: (\d{1,12}), (?=[A-Za-z])")
_EVAL = re.compile(r"\beval metrics after step: (\d{1,12}), (?=[A-Za-z])")
SHORT = {"TFLOP/s/device": "tflops", "Tokens/s/device": "tps", "perplexity": "ppl"}
"""Names in the log -> shorter ones of the same meaning."""


class Maxtext(Console):
    """Reads steps and evaluations."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _TRAIN.search(line)
        separator, prefix = ": ", ""
        if found is None:
            found = _EVAL.search(line)
            separator, prefix = "=", "eval/"
        if found is None:
            return None
        values = {}
        for part in line[found.end() :].split(", "):
            name, _, text = part.partition(separator)
            if (read := number(text.strip())) is not None:
                values[prefix + SHORT.get(name, name)] = read
        if not values:
            return None
        return (Points(values, int(found.group(1)), timestamp(line[: found.start()])),)


FORMATS = (
    LineFormat(
        name="maxtext",
        title="MaxText",
        example=(
            "I0309 10:02:51.204113 140212 metric_logger.py:181] completed step: 120,"
            " seconds: 1.204, TFLOP/s/device: 201.554, Tokens/s/device: 6804.110,"
            " total_weights: 65536, loss: 6.204"
        ),
        marks=("completed step: ", "eval metrics after step: "),
        reader=Maxtext,
        units={"seconds": "seconds", "tflops": "TFLOP/s", "tps": "tokens/s"},
    ),
)
