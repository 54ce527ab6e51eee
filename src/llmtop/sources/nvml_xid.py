"""Which XID a device reported last, as a gauge that shows each of them, however fast they come."""

from __future__ import annotations

MAX_WAITING = 32
"""Numbers that wait to be shown: a device that reports more kinds at once is broken anyway."""


class LastXid:
    """Gives one number a sweep: 0 until the first comes, then the newest that was heard.

    A reader sees an event where the value changes. So several of one sweep follow each other, and
    one that comes again is told apart from one that stays by a 0 between the two.
    """

    def __init__(self) -> None:
        self._shown: int | None = None
        self.waiting: list[int] = []
        """Heard, and not shown yet."""

    def hear(self, number: int) -> None:
        """Take an event's number; one that waits already is not shown twice."""
        if number not in self.waiting and len(self.waiting) < MAX_WAITING:
            self.waiting.append(number)

    def show(self) -> int:
        """Return the number of this sweep."""
        if self._shown is None or (self.waiting and self.waiting[0] == self._shown):
            self._shown = 0
        elif self.waiting:
            self._shown = self.waiting.pop(0)
        return self._shown
