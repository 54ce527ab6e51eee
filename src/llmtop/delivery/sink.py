"""What every sink is, and how it fails."""

from __future__ import annotations

from typing import Protocol

from llmtop.errors import printable
from llmtop.rules.alert import Alert


class NotDelivered(Exception):  # noqa: N818 - it says what happened
    """An alert did not reach a sink; the text says why, in a few words."""

    def __init__(self, why: str, *, again: bool = False, pause: float = 0.0) -> None:
        super().__init__(printable(why))
        self.again = again
        """Another try may help."""
        self.pause = pause
        """Seconds the other side asks to wait before it."""


class Sink(Protocol):
    """Something that alerts are delivered to."""

    def check(self) -> str:
        """Return what will be in the way of every delivery, "" if nothing is known of."""
        ...

    def send(self, alert: Alert) -> None:
        """Deliver one alert.

        Raises:
            NotDelivered: it did not arrive.
        """
        ...
