"""What the Hugging Face Trainer prints: dicts, by itself, TRL, Unsloth and others built on it.

Version 4 prints Python's repr, version 5 each float as quoted text; nan and inf stand bare, so
that the dicts are taken apart here. Loggers put a prefix before them, progress bars share their
line, and where stdout is redirected its blocks end in the middle of a dict.

The step of a line is worked out from the redrawings of the progress bar (see `hfsteps`). Where
there is no bar in the log, points have no step: their epoch is among the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import About, End, Item, LineFormat, Points
from llmtop.formats.hfsteps import BLANK, Steps
from llmtop.formats.numbers import number, timestamp
from llmtop.formats.record import is_measured

MAX_OPEN = 1 << 14
"""Characters of a dict whose end has not come yet: GRPO prints 2 kB."""

_DICT = re.compile(r"\{'[^{}]*\}")
_BAR = re.compile(r"[^{}]*?\d%\|[^|]*\|[^\]]*\]")
"""A progress bar, after which stdout goes on in the same line."""
_PAIR = re.compile(r"'([^'{}]{1,200})': ('[^']*'|\"[^\"]*\"|[^,'\"{}]+)")
_KNOWN = frozenset(
    {"epoch", "loss", "eval_loss", "train_loss", "train_runtime", "eval_runtime", "grad_norm",
     "reward", "rewards/chosen", "objective/kl"}
)
"""Keys of which a dict must have one: people print dicts of their own, too."""


class Reader:
    """Reads the output of one training."""

    def __init__(self) -> None:
        self._steps = Steps()
        self._total = 0
        self._held: tuple[dict[str, float], float | None] | None = None
        """A line whose step the next redrawing of the bar will tell."""
        self._open = ""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the numbers of the dicts in a piece of output."""
        found: list[Item] = []
        bar = None
        if "%|" in line or line.startswith(BLANK):
            bar = self._steps.bar(line)
        if bar is not None and self._held is not None:
            self._release(found)
        if "{'" in line or "}" in line:
            self._dicts(line, found)
        if found:
            return found
        return None if bar is None and self._held is None and not self._open else ()

    def end(self) -> Iterable[Item]:
        """Return the line that still waits for its step."""
        found: list[Item] = []
        self._release(found)
        return found

    def _dicts(self, line: str, found: list[Item]) -> None:
        last = None
        for last in _DICT.finditer(line):
            self._open = ""
            self._dict(last.group(), line if last.start() > len("00:00:00") else "", found)
        rest = line[last.end() if last else 0 :]
        if last is None and "}" in rest:
            self._close(rest, found)
        start = rest.find("{'")
        if start >= 0 and "}" not in rest[start:] and len(rest) - start <= MAX_OPEN:
            self._open = rest[start:]

    def _close(self, line: str, found: list[Item]) -> None:
        """Put the second half of a dict to its first, if this line begins with it."""
        bar = _BAR.match(line)
        line = line[bar.end() :] if bar is not None else line
        end = line.find("}")
        if not self._open and line.startswith("'"):
            self._open = "{"
        if self._open and end >= 0 and "{" not in line[:end]:
            text, self._open = self._open + line[: end + 1], ""
            self._dict(text, "", found)

    def _dict(self, text: str, line: str, found: list[Item]) -> None:
        pairs = _PAIR.findall(text)
        values: dict[str, float] = {}
        for name, written in pairs:
            value = number(written)
            if value is not None:
                values[name] = value
        if not _is_logged(values, len(pairs)):
            return
        if self._held is not None:
            self._release(found)
        moment = timestamp(line) if line else None
        training = not any(name.startswith(("eval_", "train_runtime")) for name in values)
        if self._steps.waits(training) and "train_runtime" not in values:
            self._held = values, moment
        else:
            self._tell(values, moment, found)

    def _release(self, found: list[Item]) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._tell(*held, found)

    def _tell(self, values: dict[str, float], moment: float | None, found: list[Item]) -> None:
        epoch = values.get("epoch")
        if "train_runtime" in values:
            step = self._steps.summary()
        elif any(name.startswith("eval_") for name in values):
            step = self._steps.evaluation(epoch)
        else:
            step = self._steps.training(epoch)
            if self._steps.total != self._total:
                self._total = self._steps.total
                found.append(About(total_steps=self._total))
        found.append(Points(values, step, moment))
        if "train_runtime" in values:
            found.append(End("finished", "training has ended"))


def _is_logged(values: dict[str, float], pairs: int) -> bool:
    """Return whether a dict of so many pairs is a measurement; configurations look alike."""
    if _KNOWN.isdisjoint(values):
        return len(values) == pairs and any(map(is_measured, values))
    return 2 * len(values) >= pairs


FORMATS = (
    LineFormat(
        name="huggingface",
        title="Hugging Face Trainer, TRL, Unsloth",
        example="{'loss': 2.3145, 'grad_norm': 1.93, 'learning_rate': 4.5e-05, 'epoch': 0.1}",
        marks=("{'", "}", "%|", BLANK),
        reader=Reader,
        units={"eval_runtime": "seconds", "train_runtime": "seconds"},
    ),
)
