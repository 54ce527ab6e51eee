"""What is on its way to and from one viewer, between the relay's thread and the socket's."""

from __future__ import annotations

from collections import deque

from llmtop.wire import Frame

OUTLET_BYTES = 2 << 20
"""Frames waiting for a viewer's socket: a turn's worth for 1000 ranks, ten times over."""


class Outlet:
    """Frames for one viewer, first in first out; each side writes only its own counter."""

    def __init__(self, identity: bytes, hello: Frame) -> None:
        self.identity, self.hello = identity, hello
        self.asked: deque[Frame] = deque()
        """What it asks of sessions, for the relay's thread to take."""
        self.frames: deque[bytes] = deque()
        self.gone = False
        """The viewer is not there any more."""
        self.heard = 0.0
        """Monotonic seconds of its newest frame; the socket's thread writes it."""
        self._put = self._taken = 0

    @property
    def room(self) -> bool:
        """Whether more may be put in."""
        return self._put - self._taken < OUTLET_BYTES

    def put(self, frame: bytes) -> None:
        """Queue a frame; the caller looks at `room` before."""
        self._put += len(frame)
        self.frames.append(frame)

    def took(self, frame: bytes) -> None:
        """Note that a frame left."""
        self._taken += len(frame)
