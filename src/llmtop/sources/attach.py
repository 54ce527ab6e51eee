"""A relay elsewhere: everything it knows, by the protocol that publishers speak to a hub."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import zmq

from llmtop import keys
from llmtop.clock import Clock
from llmtop.errors import SourceError, UsageError, WireError
from llmtop.samples import Batch
from llmtop.sources.dialling import Dialling, trouble, watched
from llmtop.sources.hub import (
    BATCH_SAMPLES,
    GATHER_SECONDS,
    OPTIONS,
    POLL_MILLISECONDS,
    SLEPT_SECONDS,
    TICK_SECONDS,
)
from llmtop.sources.intake import Intake
from llmtop.sources.offset import Offset
from llmtop.wire import Frame, Kind, pack, pack_json, read_json, unpack

ASK_SECONDS = 1.0
"""Between two questions for the relay's time, which are this side's signs of life too."""
SILENT_SECONDS = 6.0
"""Silence after which the relay is lost: the heartbeat timeout of the wire."""
DIAL_SECONDS = 0.6
"""For a relay that is about to listen: two tries of libzmq's."""
CONNECT_MILLISECONDS = 2000
"""Without an answer for so long a connection is tried anew: the link may be back since."""
LAG_SHOWN_SECONDS = 10.0
"""How long it is told that the connection was too slow."""
PLACE = re.compile(r"ipc://.+|tcp://[^\s/]+:\d{1,5}")
"""Where a relay may be."""
NOBODY = b""
"""The one connection's name in the intake."""


class Attach:
    """A viewer of a relay."""

    longest_pause = 2.0
    """A laptop that is back on the network is not to wait."""

    def __init__(self, text: str, *, clock: Clock, name: str = "") -> None:
        """Attach to "tcp://host:port", "tcp://host:port?key=..." or "ipc://path".

        Args:
            text: the address.
            clock: the clock.
            name: what it is called, by default its address.

        Raises:
            UsageError: it is no such address, or the key in it is none.
        """
        self.address, self._key = keys.split(text)
        if not PLACE.fullmatch(self.address):
            raise UsageError(f"{text!r} is no address; write tcp://host:7788")
        self.name = name or self.address
        self.intake = Intake(clock, self.name)
        self._clock = clock
        self._offset = Offset()
        self._heard = self._asked = self._greeted = 0.0
        self._lagged = -LAG_SHOWN_SECONDS
        self._lag = ""
        self._status = ""
        self._caught_up = False
        self._instance = ""
        """Which life of the relay this was connected to."""
        self._full = False
        """The batch in the making may not hold any more."""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what the relay sends until `stop` is set.

        Raises:
            SourceError: nothing answers, or not any more.
            ConfigError: the relay asks for a key, and this user has none.
        """
        with self._connected() as (socket, dial):
            intake, answered, caught_up = self.intake, False, False
            self._caught_up = False
            began = turned = ticked = self._heard = self._clock.monotonic()
            self._greet(socket)
            while not stop.is_set():
                socket.poll(POLL_MILLISECONDS)
                before = self._heard
                self._gather(socket)
                if intake.mono - turned > SLEPT_SECONDS:
                    intake.forgive()
                    self._heard = max(self._heard, turned)
                turned = intake.mono
                if turned - ticked >= TICK_SECONDS:
                    ticked = turned
                    intake.tick()
                self._speak(socket)
                dial.look()
                failed = not answered and turned - began > DIAL_SECONDS and (
                    dial.unheard or dial.unknown
                )
                if failed or turned - self._heard > SILENT_SECONDS:
                    raise SourceError(self._silence(answered, dial))
                ready = self._caught_up and not caught_up
                caught_up = caught_up or ready
                batch = self._take(ready)
                if batch is None and not answered and self._heard > before:
                    batch = Batch()
                if batch is not None:
                    answered = True
                    yield batch

    @contextmanager
    def _connected(self) -> Iterator[tuple[zmq.Socket[bytes], Dialling]]:
        with ExitStack() as stack:
            context = stack.enter_context(zmq.Context())
            socket = stack.enter_context(context.socket(zmq.DEALER))
            for option, value in OPTIONS.items():
                if option != zmq.ROUTER_MANDATORY:
                    socket.setsockopt(option, value)
            socket.setsockopt(zmq.RECONNECT_IVL, 250)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
            socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MILLISECONDS)
            if self._key:
                keys.arm(socket, self._key)
            dial = stack.enter_context(watched(socket))
            try:
                socket.connect(self.address)
            except zmq.ZMQError as error:
                raise SourceError(f"{self.address}: {error.strerror}") from None
            yield socket, dial

    def _silence(self, answered: bool, dial: Dialling) -> str:
        """Return what is the matter, and what a person can do about it."""
        if answered:
            return f"no sign of life for {SILENT_SECONDS:.0f} s; connecting again"
        if dial.unknown and self._key:
            return ("there is no relay of that key, or it does not know this one; run there: "
                    f"llmtop keys allow {keys.own_pair().public}")
        if dial.unknown:
            return "it asks for a key; attach with the line that llmtop serve prints, ?key= and all"
        found = trouble(self.address)
        if found:
            return f"{found}; is llmtop serve running there?"
        return "nothing answers there; is it llmtop serve?"

    def _greet(self, socket: zmq.Socket[bytes]) -> None:
        """Say who asks, and what need not be sent again."""
        intake = self.intake
        for number, session in list(intake.sessions.items()):
            if session.upcoming is None and not session.messages and not session.passed:
                # Nothing of it was passed on, so that it may begin anew.
                del intake.sessions[number]
        have = {f"{number:016x}": session.sequence.expected
                for number, session in intake.sessions.items()}
        about = {"role": "monitor", "host": os.uname().nodename, "pid": os.getpid(), "have": have}
        self._greeted = self._clock.monotonic()
        self._send(socket, pack_json(Kind.HELLO, about, session=1))

    def _gather(self, socket: zmq.Socket[bytes]) -> None:
        """Read for GATHER_SECONDS, or until a batch is full."""
        intake = self.intake
        intake.look_at_clock()
        deadline, some, self._full = intake.mono + GATHER_SECONDS, False, False
        while intake.pending.count < BATCH_SAMPLES and not self._full:
            try:
                data = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                intake.look_at_clock()
                if not some or intake.mono >= deadline:
                    return
                time.sleep(min(deadline - intake.mono, GATHER_SECONDS / 4))
                some = False
                continue
            some = True
            self._heard = intake.mono
            if data[:2] == b"LT" and data[8:16] == bytes(8):
                intake.look_at_clock()
                self._own(socket, data)
            else:
                intake.frame(NOBODY, data)

    def _own(self, socket: zmq.Socket[bytes], data: bytes) -> None:
        """Take what the relay says of itself."""
        try:
            frame = unpack(data)
            if frame.kind == Kind.PONG:
                self._offset.heard(frame.seq, frame.t0, self.intake.now, self.intake.mono)
            elif frame.kind == Kind.PING and self.intake.mono - self._greeted > ASK_SECONDS:
                self._greet(socket)
            elif frame.kind == Kind.EVENT:
                self._told(frame)
        except WireError:
            self.intake.bad += 1

    def _told(self, frame: Frame) -> None:
        said = read_json(frame, dict)
        if said.get("level") == "relay":
            instance = said.get("instance")
            if self._instance not in ("", instance):
                # Their ends are to be told before what takes their places.
                self.intake.end_own()
                self._full = True
            self._instance = instance if isinstance(instance, str) else ""
        elif said.get("level") == "caught_up":
            self._caught_up = True
        elif said.get("level") == "lag" and isinstance(said.get("count"), int):
            self._lagged = self.intake.mono
            self._lag = f"the connection is too slow: {said['count']:,} samples were thinned"

    def _speak(self, socket: zmq.Socket[bytes]) -> None:
        """Answer for the sessions, and ask for the relay's time now and then."""
        answers = self.intake.answers
        while answers:
            self._send(socket, answers.popleft()[1])
        if self.intake.mono - self._asked >= ASK_SECONDS:
            self._asked = self.intake.mono
            number = self._offset.ask(self._clock.time(), self._clock.monotonic())
            self._send(socket, pack(Kind.PING, seq=number))

    def _send(self, socket: zmq.Socket[bytes], frame: bytes) -> None:
        try:
            socket.send(frame, zmq.NOBLOCK)
        except zmq.ZMQError:
            return

    def _take(self, ready: bool) -> Batch | None:
        """Return what came, with the status where that is another."""
        batch = self.intake.take(caught_up=ready)
        lags = self.intake.mono - self._lagged < LAG_SHOWN_SECONDS
        status = self._lag if lags else self._offset.told()
        if status == self._status:
            return batch
        self._status = status
        return replace(batch or Batch(), status=status)
