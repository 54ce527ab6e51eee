"""The people who ask: each thinks, asks, waits for the answer, and thinks again.

How many there are rises and falls, so that the server has quiet times and queues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from llmtop.demo.corpus import Tokens

FEWEST, MOST = 1, 12
WAVE_SECONDS = 60.0
"""From few clients to many and back."""
THINK_SECONDS = 3.0
"""On average, between an answer and the next question."""
ANSWER_TOKENS = 40, 200
"""Shortest and longest answer asked for."""


@dataclass(eq=False, slots=True)
class Request:
    """One question and what became of it; times are of the caller's clock."""

    arrived: float
    window: Tokens
    """Shape (context,): the last tokens read or written."""
    wanted: int
    """Tokens to write."""
    written: list[int] = field(default_factory=list)
    latest: float = 0.0
    """When the newest token was written."""


class Clients:
    """All of them, as a list of times at which the idle ones ask next."""

    def __init__(self, text: Tokens, context: int, random: np.random.Generator, now: float) -> None:
        """Let them ask about stretches of `text`, from `now` on."""
        self._text, self._context, self._random = text, context, random
        self._began = now
        self._asking = [now + self._think() for _ in range(MOST)]

    def present(self, now: float) -> float:
        """Return how many there are at `now`, not rounded."""
        wave = (1 + math.sin(2 * math.pi * (now - self._began) / WAVE_SECONDS)) / 2
        return FEWEST + (MOST - FEWEST) * wave

    def due(self, now: float) -> list[Request]:
        """Return the requests that have arrived by `now`; those who are away ask later."""
        arrived = sorted(moment for moment in self._asking if moment <= now)
        self._asking = [moment for moment in self._asking if moment > now]
        requests = []
        for moment in arrived:
            if self._random.random() < self.present(moment) / MOST:
                requests.append(self._request(moment))
            else:
                self.answered(now)
        return requests

    def answered(self, now: float) -> None:
        """Let one client who got an answer think of another question."""
        self._asking.append(now + self._think())

    def next_arrival(self) -> float:
        """Return when somebody may ask next; everybody is waiting if it is infinite."""
        return min(self._asking, default=math.inf)

    def _think(self) -> float:
        return float(self._random.exponential(THINK_SECONDS))

    def _request(self, moment: float) -> Request:
        start = int(self._random.integers(0, len(self._text) - self._context))
        wanted = int(self._random.integers(*ANSWER_TOKENS, endpoint=True))
        return Request(moment, self._text[start : start + self._context], wanted)
