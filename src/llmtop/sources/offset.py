"""How far another machine's clock is from this one's, from questions and answers over a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from llmtop.sources.introduce import LATEST

TOLD_SECONDS = 1.0
"""An offset below is not told: nothing on the screen is finer than a second across hosts."""
BEATS = 8
"""Beats that the best is chosen from: a quarter of a minute of them."""
FINE_SECONDS = 0.1
"""Differences between two estimates that are none."""
REMEMBERED = 32
"""Answers that the best is chosen from: half a minute of them."""


class _Answer(NamedTuple):
    round_trip: float
    offset: float


class Beats:
    """The offset of a clock that says what time it is there every two seconds, unasked.

    What is on its way makes it look behind, so the greatest offset of the newest is the best.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=BEATS)
        self._told = 0.0

    def heard(self, key: str, theirs: float, wall: float) -> Iterator[tuple[str, float]]:
        """Take in what time it is there, 0 if that was not told; yield (key, a new offset)."""
        if 0 < theirs < LATEST:
            self._offsets.append(theirs - wall)
            best = max(self._offsets)
            if abs(best - self._told) >= FINE_SECONDS:
                self._told = best
                yield key, best


class Offset:
    """The offset of one other clock."""

    def __init__(self) -> None:
        self._asked: dict[int, tuple[float, float]] = {}
        self._answers: deque[_Answer] = deque(maxlen=REMEMBERED)
        self._number = 0

    def ask(self, wall: float, mono: float) -> int:
        """Note a question sent now; return its number."""
        self._number += 1
        self._asked[self._number] = wall, mono
        self._asked.pop(self._number - REMEMBERED, None)
        return self._number

    def heard(self, number: int, theirs: float, wall: float, mono: float) -> None:
        """Take in that the answer to a question says it is `theirs` there."""
        asked = self._asked.pop(number, None)
        if asked is not None:
            took = mono - asked[1]
            self._answers.append(_Answer(took, theirs - (wall - took / 2)))

    @property
    def seconds(self) -> float:
        """How far the other clock is ahead, by the quickest answer; 0 before any came."""
        return min(self._answers).offset if self._answers else 0.0

    def told(self) -> str:
        """Return what a person should know of it, "" if nothing."""
        seconds = self.seconds
        if abs(seconds) <= TOLD_SECONDS:
            return ""
        return f"its clock is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"
