"""Which step a line of the Hugging Face Trainer is of; the lines themselves do not say.

Redirected stdout is written in blocks while the progress bar (stderr) is not, so that the count
next to a line is that of another step. But tqdm clears its bars for each line and draws them
once more: the bar's count in the k-th redrawing is the step of the k-th line, wherever the line
itself ends up. Two of them give the spacing of the training lines, and from then on the step is
counted, and checked against the epoch that each line has.
"""

from __future__ import annotations

import re
from collections import deque

from llmtop.samples import NO_STEP

_BAR = re.compile(r"^\s*\d{1,3}%\|[^|]*\|\s*(\d+)/(\d+) \[[^\]]*(?:it/s|s/it|\?it)")
"""A bar without a description that counts iterations: of training, or of an evaluation in it."""
BLANK = " " * 40
"""tqdm clears a bar with as many spaces as it is wide; no other line begins with so many."""
MAX_REDRAWN = 4096
"""Redrawings whose lines are still in the process's buffer of 8 kB; a line has 80 bytes or more."""
ROUNDED = 0.0051
"""By how much an epoch may be off: two decimals; version 5 writes four digits."""


class Steps:
    """The steps of one log's lines."""

    def __init__(self) -> None:
        self.total = 0
        """Steps of the whole training, 0 while unknown."""
        self._count = -1
        self._cleared = False
        self._redrawn: deque[int] = deque(maxlen=MAX_REDRAWN)
        self._owed = 0
        """Lines whose step was counted before their redrawing came."""
        self._before = self._last = 0
        self._epoch = 0.0
        """Of the last training line."""

    def bar(self, line: str) -> bool | None:
        """Look at a piece of text; return whether it redraws the training bar, None for others."""
        found = _BAR.match(line)
        if found is None:
            self._cleared = line.startswith(BLANK)
            return None
        cleared, self._cleared = self._cleared, False
        count, total = int(found.group(1)), int(found.group(2))
        if total != self.total and not self._begins(count):
            return None
        if total != self.total or (count == 0 and self._count > 0):
            self.total, self._owed = total, 0
            self._redrawn.clear()
            self._before = self._last = 0
            self._epoch = 0.0
        redrawn = count > 0 and (cleared or count == self._count)
        self._count = count
        if redrawn and self._owed:
            self._owed -= 1
            return False
        if redrawn:
            self._redrawn.append(count)
        return redrawn

    def _begins(self, count: int) -> bool:
        """Return whether a bar of another total is that of a training, not of an evaluation."""
        if not self.total:
            return True
        waiting = any(step < self.total for step in self._redrawn)
        return count == 0 and self._count >= self.total and not waiting

    def waits(self, training: bool) -> bool:
        """Return whether the step of a line is told by a redrawing that is still to come."""
        return bool(self.total) and not self._redrawn and not (training and self._spacing())

    def training(self, epoch: float | None) -> int:
        """Return the step of a training line."""
        if epoch is not None and epoch < self._epoch - ROUNDED:
            self._before = self._last = 0
            self._epoch = 0.0
        told, spacing = self._told(epoch), self._spacing()
        step = (self._last // spacing + 1) * spacing if spacing else told
        if spacing and not (step <= self.total and self._fits(step, epoch) == 0):
            self._before, step = 0, told
        if step <= self._last:
            return NO_STEP
        self._before, self._last = self._last, step
        if epoch is not None:
            self._epoch = epoch
        return step

    def evaluation(self, epoch: float | None) -> int:
        """Return the step of a line of an evaluation."""
        told = self._told(epoch)
        if told == NO_STEP and self._last and epoch == self._epoch:
            return self._last
        return told

    def summary(self) -> int:
        """Return the step of the line that ends a training."""
        if self.total and self._count >= self.total:
            return self.total
        return self._last or NO_STEP

    def _spacing(self) -> int:
        """Return how many steps lie between two training lines, 0 while unknown."""
        # The first step may be logged by itself; all others are multiples of the spacing. After
        # 1 and 2 it may be 1 or 2.
        if not self._before or self._last == 2:
            return 0
        spacing = self._last if self._before == 1 else self._last - self._before
        return spacing if self._last % spacing == 0 else 0

    def _told(self, epoch: float | None) -> int:
        """Return the step of the first redrawing that fits the epoch of a line."""
        if not self._redrawn:
            self._owed += 1 if self.total else 0
            return NO_STEP
        while self._redrawn:
            fits = self._fits(self._redrawn[0], epoch)
            if fits > 0:
                break
            step = self._redrawn.popleft()
            if fits == 0:
                return step
        return NO_STEP

    def _fits(self, step: int, epoch: float | None) -> int:
        """Return 0 if a step can be of an epoch, as the last line tells; else its side, -1 or 1."""
        if epoch is None or not self._last or self._epoch <= 0.0:
            return 0
        times = step / self._last
        off = times * self._epoch - epoch
        if abs(off) <= ROUNDED + 0.0005 * epoch + times * (ROUNDED + 0.0005 * self._epoch):
            return 0
        return 1 if off > 0 else -1
