"""One monitor's place in a session: a DEALER that never blocks, and a cursor in the ring.

A monitor that is slow or stopped only falls behind on its own cursor.
"""

from __future__ import annotations

import time
from collections import deque

import zmq

from llmtop.errors import LlmtopError, WireError
from llmtop.publish.session import Session
from llmtop.wire import FROM_SEQ, MAX_FRAME_BYTES, Frame, Kind, unpack

OPTIONS = (
    (zmq.LINGER, 0),
    (zmq.SNDHWM, 64),
    (zmq.RCVHWM, 64),
    (zmq.IMMEDIATE, 1),
    (zmq.MAXMSGSIZE, MAX_FRAME_BYTES),
    (zmq.HEARTBEAT_IVL, 2000),
    (zmq.HEARTBEAT_TIMEOUT, 6000),
    (zmq.HANDSHAKE_IVL, 3000),
    (zmq.RECONNECT_IVL, 250),
    (zmq.RECONNECT_IVL_MAX, 2000),
)
"""64 messages of 24 kB are on their way at most; nothing is queued before there is a peer."""
SENDS_A_TICK = 256
"""Frames sent before the next monitor's turn: 6 MB."""
SEND_SECONDS = 0.05
"""The same in time: where other threads hold the GIL, each frame waits 5 ms for it."""
RECEIVES_A_TICK = 64
"""Requests read before the next monitor's turn: as many as the socket holds."""
BEAT_SECONDS = 2.0
"""Silence after which a sign of life is sent: three are missed before a monitor calls it dead."""
ASK_SECONDS = 0.5
"""The same request within this time is the echo of one that is being answered."""
BYE_LINGER_MS = 200
"""How long a last frame may wait in a socket that is closed."""


class Link:
    """What one monitor has been sent of one session."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, session: Session):
        """Connect to `address`.

        Raises:
            zmq.ZMQError: the address cannot be used, or there are no descriptors left.
            LlmtopError: its key cannot be used, or this user has none.
        """
        self._session = session
        self._trusted = address.startswith("ipc://") or "?key=" in address
        self._socket = context.socket(zmq.DEALER)
        try:
            for option, value in OPTIONS:
                self._socket.set(option, value)
            if "?key=" in address:
                # Few addresses have one: those who have none do not pay for the import.
                from llmtop import keys

                address, server = keys.split(address)
                keys.arm(self._socket, server)
            self._socket.connect(address)
        except (zmq.ZMQError, LlmtopError):
            self._socket.close(0)
            raise
        self._outbox: deque[bytes] = deque()
        self._beat: bytes | None = None
        """The beat in the outbox: one answers all that was asked meanwhile."""
        self._greeted = float("-inf")
        self._sent = float("-inf")
        self._replayed = (-1, float("-inf"))
        self._said_bye = False
        self._seq = self._records = self._definitions = self._events = 0
        self.stuck = False
        """The last thing could not be sent: the monitor is slow, stopped or gone."""
        self.done = False
        """The monitor has said that it got everything, BYE included."""

    @property
    def open(self) -> bool:
        """Whether the monitor has been sent HELLO."""
        return self._greeted > float("-inf")

    @property
    def behind(self) -> bool:
        """Whether something is left to send."""
        session = self._session
        return (
            bool(self._outbox)
            or self._seq < session.ring.next
            or self._events < session.event_count
            or self._definitions < len(session.names.definitions)
        )

    def pump(self, now: float) -> bool:
        """Read requests and send on until the socket is full; return whether anything was sent."""
        self._receive(now)
        if not self.open:
            self.stuck = not int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT
            if self.stuck:
                return False
            self._begin(now)
        sent, until = 0, time.monotonic() + SEND_SECONDS
        while sent < SENDS_A_TICK and (self._outbox or self._refill()):
            if not self._send(self._outbox[0], now):
                return sent > 0
            if self._outbox.popleft() is self._beat:
                self._beat = None
            sent += 1
            if time.monotonic() > until:
                break
        if now - self._sent > BEAT_SECONDS:
            self._send(self._session.beat(), now)
        return sent > 0

    def say_bye(self, ending: dict[str, str]) -> None:
        """Queue BYE, once, behind everything else."""
        if not self._said_bye and self.open and not self.behind:
            self._said_bye = True
            self._outbox.extend(self._session.farewell(ending))

    def cut(self, ending: dict[str, str], abandoned: int) -> None:
        """Give up what is left to send, tell how much that is, and queue BYE.

        Args:
            ending: What BYE says.
            abandoned: Samples that never came into a frame.
        """
        session, ring = self._session, self._session.ring
        if not self.open:
            return
        if self._seq < ring.next:
            self._outbox.append(session.lost(ring.records - self._records, ring.next))
            self._seq, self._records = ring.next, ring.records
        if abandoned:
            self._outbox.append(session.lost(abandoned))
        self._said_bye = True
        self._outbox.extend(session.farewell(ending))

    def close(self) -> None:
        """Let go of the socket; only a BYE may linger."""
        self._socket.close(BYE_LINGER_MS if self._said_bye else 0)

    def _begin(self, now: float) -> None:
        """Start over with HELLO and history; live frames follow from the oldest in the ring."""
        session = self._session
        self._outbox, self._beat = deque(session.opening()), None
        self._greeted = now
        self._said_bye = False
        self._seq = session.ring.first
        self._records = session.ring.records_before(self._seq)
        self._definitions = len(session.names.definitions)
        self._events = session.event_count

    def _refill(self) -> bool:
        """Put what comes next into the outbox; return whether there was anything."""
        session, ring = self._session, self._session.ring
        self._outbox.extend(session.definitions(self._definitions))
        self._definitions = len(session.names.definitions)
        self._outbox.extend(session.events(self._events))
        self._events = session.event_count
        if self._seq < ring.first:
            before = ring.records_before(ring.first)
            self._outbox.append(session.lost(before - self._records, ring.first))
            self._seq, self._records = ring.first, before
        elif self._seq < ring.next:
            self._outbox.append(ring.frame(self._seq))
            self._seq += 1
            self._records = ring.records_before(self._seq)
        return bool(self._outbox)

    def _send(self, frame: bytes, now: float) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.ZMQError:
            self.stuck = True
            return False
        self.stuck = False
        self._sent = now
        return True

    def _receive(self, now: float) -> None:
        for _ in range(RECEIVES_A_TICK):
            try:
                data = self._socket.recv(zmq.NOBLOCK)
            except zmq.ZMQError:
                return
            try:
                self._answer(unpack(data), now)
            except WireError:
                continue

    def _answer(self, frame: Frame, now: float) -> None:
        if frame.kind == Kind.PING and frame.session == 0:
            if self.open and now - self._greeted > ASK_SECONDS:
                self._begin(now)
        elif frame.session != self._session.id:
            return
        elif frame.kind == Kind.PING:
            if self._beat is None:
                self._beat = self._session.beat()
                self._outbox.append(self._beat)
        elif frame.kind == Kind.PONG:
            self.done = self._said_bye and not self.behind
        elif frame.kind == Kind.REPLAY:
            self._go_back(FROM_SEQ.unpack(frame.payload)[0], now)
        elif frame.kind == Kind.CONTROL and self._trusted and self._session.control is not None:
            self._session.control.take(frame)

    def _go_back(self, seq: int, now: float) -> None:
        """Send again from `seq` on, unless that was asked for a moment ago."""
        asked, when = self._replayed
        if seq >= self._seq or (seq == asked and now - when < ASK_SECONDS):
            return
        self._replayed = seq, now
        self._said_bye = False
        self._records = self._session.ring.records_before(seq)
        self._seq = seq
