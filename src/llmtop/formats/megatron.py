"""Megatron-LM and what is built on it (GPT-NeoX, Megatron-DeepSpeed): one line of bars an interval.

The loss is absent when every iteration was skipped, and when it is NaN or negative; then only
`number of nan iterations` tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console, bars, plain
from llmtop.formats.numbers import NUMBER, timestamp
from llmtop.samples import NO_STEP

_TRAIN = re.compile(r"\biteration {1,12}(\d{1,12})/ {0,12}(\d{1,12}) \|")
_RATE = re.compile(rf"\bsamples/sec: {{0,8}}({NUMBER}) \|")
_EVAL = re.compile(
    r"\b(validation|test) (?:loss|results) at (?:iteration (\d{1,12})|the end of training)"
    r"(?: (?:on|for) (\w{1,20})(?: (?:set|data))?)? {0,4}\|"
)
_SAVED = re.compile(r"\bsuccessfully saved checkpoint (?:from|at) iteration {1,12}(\d{1,12})\b")
_DONE = "[after training is done] datetime:"


class Megatron(Console):
    """Reads training lines, validation lines, and what is said of checkpoints and the end."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        train = _TRAIN.search(line)
        if train is not None:
            return self._train(line, train)
        held_out = _EVAL.search(line)
        if held_out is not None:
            return _evaluation(line, held_out)
        saved = _SAVED.search(line)
        if saved is not None:
            return (Note(line.strip(), "checkpoint", int(saved.group(1)), timestamp(line)),)
        if _DONE in line:
            return (End("finished", "training is done", timestamp(line)),)
        return None

    def _train(self, line: str, found: re.Match[str]) -> Iterable[Item] | None:
        values = bars(line[found.end() :])
        rate = _RATE.search(line, 0, found.start())
        if rate is not None:
            values["samples/sec"] = plain(rate.group(1))
        if not values:
            return None
        step, total = found.groups()
        return (*self.about(total), Points(values, int(step), timestamp(line)))


def _evaluation(line: str, found: re.Match[str]) -> Iterable[Item] | None:
    kind, step, split = found.groups()
    if split is not None and split != "valid":
        kind = split
    values = {f"{kind}/{name}": value for name, value in bars(line[found.end() :]).items()}
    if not values:
        return None
    return (Points(values, NO_STEP if step is None else int(step), timestamp(line)),)


FORMATS = (
    LineFormat(
        name="megatron",
        title="Megatron-LM, GPT-NeoX",
        example=(
            " [2025-03-02 10:15:42] iteration       40/    2000 | consumed samples:        10240 |"
            " elapsed time per iteration (ms): 612.4 | learning rate: 1.200000E-05 |"
            " global batch size:   256 | lm loss: 9.412277E+00 | loss scale: 65536.0 |"
            " grad norm: 2.871 | number of skipped iterations:   0 |"
            " number of nan iterations:   0 |"
        ),
        marks=(
            "elapsed time per iteration", "consumed samples:", "validation loss at",
            "validation results at", "test results at", "successfully saved checkpoint", _DONE,
        ),
        reader=Megatron,
        units={
            "elapsed time per iteration (ms)": "ms", "samples/sec": "samples/s",
            "throughput per GPU (TFLOP/s/GPU)": "TFLOP/s", "approx flops per GPU": "TFLOP/s",
            "TFLOPs": "TFLOP/s",
        },
    ),
)  # fmt: skip
