"""DATA messages in order, each once: duplicates fall, gaps are asked for, loss is told."""

from __future__ import annotations

import math
from typing import NamedTuple

GAP_SECONDS = 3.0
"""How long the next message may fail to come, three requests for it included; then it is lost."""
ASK_SECONDS = 1.0
"""The least between two requests for a replay: what was sent before one is still on its way."""


class Verdict(NamedTuple):
    """What to do about one message."""

    take: bool
    ask: bool = False
    """Ask the publisher to replay from `Sequence.expected`."""
    lost: int = 0
    """Messages that will not come any more."""


TAKE = Verdict(True)
DROP = Verdict(False)


class Sequence:
    """The place in one session's stream of DATA messages."""

    __slots__ = ("_asked", "_gap_since", "_last", "_upcoming", "expected")

    def __init__(self, expected: int | None = None) -> None:
        """Begin at message `expected`; None: at whichever comes first."""
        self.expected = expected
        self._gap_since: float | None = None
        self._asked = -math.inf
        self._last = -1
        self._upcoming = 0

    def judge(self, seq: int, now: float) -> Verdict:
        """Return what to do about message `seq` that came at `now` (monotonic seconds)."""
        if seq == self.expected or self.expected is None:
            self.expected = seq + 1
            self._gap_since = None
            return TAKE
        if seq < self.expected:
            return DROP
        if self._gap_since is None:
            self._gap_since, self._last = now, -1
        # A replay that begins above what was asked for begins with the oldest there still is.
        replayed = seq <= self._last
        self._last, self._upcoming = seq, max(seq + 1, self._upcoming)
        if replayed or now - self._gap_since > GAP_SECONDS:
            lost = seq - self.expected
            self.expected = seq + 1
            self._gap_since = None
            return Verdict(True, lost=lost)
        return Verdict(False, ask=self._asks(now))

    def goes_on(self, seq: int) -> bool:
        """Tell whether message `seq` is the very next, and take it if so."""
        if seq != self.expected:
            return False
        self.expected = seq + 1
        self._gap_since = None
        return True

    def skip(self, upcoming: int) -> bool:
        """Go on at `upcoming`, what is before it being lost; False if nothing of it was missing."""
        if self.expected is not None and upcoming <= self.expected:
            return False
        self.expected, self._gap_since = upcoming, None
        return True

    @property
    def gap(self) -> bool:
        """Whether something is missing."""
        return self._gap_since is not None

    def abandon(self) -> int:
        """Give up what is missing; return how many messages that is."""
        if self._gap_since is None or self.expected is None:
            return 0
        lost = self._upcoming - self.expected
        self.expected, self._gap_since = self._upcoming, None
        return lost

    def behind(self, upcoming: int, now: float) -> Verdict:
        """Return what to do when the publisher says that its next message is `upcoming`."""
        if self.expected is None or upcoming <= self.expected:
            return DROP
        if self._gap_since is None:
            self._gap_since, self._last = now, -1
        self._upcoming = max(upcoming, self._upcoming)
        if now - self._gap_since > GAP_SECONDS:
            lost = upcoming - self.expected
            self.expected, self._gap_since = upcoming, None
            return Verdict(False, lost=lost)
        return Verdict(False, ask=self._asks(now))

    def _asks(self, now: float) -> bool:
        """Tell whether it is time to ask (again) for a replay, and note that it was done."""
        if now - self._asked < ASK_SECONDS:
            return False
        self._asked = now
        return True
