"""The hub: a ROUTER that this user's publishers connect to, read by one plain thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from llmtop.clock import Clock
from llmtop.errors import SourceError
from llmtop.publish.rendezvous import checked_dir
from llmtop.samples import Batch
from llmtop.sources.intake import Intake
from llmtop.sources.past import past_runs, take_in
from llmtop.sources.rendezvous import new_socket_path, sweep
from llmtop.wire import MAX_FRAME_BYTES

RECEIVE_MESSAGES = 1024
"""RCVHWM: at 8 samples a message what 8 ms bring; a stalled hub holds 200 MB a publisher at worst
(libzmq loses what a closing peer sent beyond it, so it is not smaller)."""
OPTIONS = {
    zmq.MAXMSGSIZE: MAX_FRAME_BYTES,
    zmq.RCVHWM: RECEIVE_MESSAGES,
    zmq.SNDHWM: 64,
    zmq.HEARTBEAT_IVL: 2000,
    zmq.HEARTBEAT_TIMEOUT: 6000,
    zmq.HANDSHAKE_IVL: 3000,
    zmq.LINGER: 0,
    zmq.ROUTER_MANDATORY: 0,
}
"""The wire protocol's socket options, for a ROUTER."""
POLL_MILLISECONDS = 100
"""How late `stop` is seen, and deaths."""
GATHER_SECONDS = 0.02
"""How long a batch is gathered: 50 batches a second at most, each one append for the store."""
BUSY_SECONDS = 0.001
"""Pause within a batch while messages pour in: a few hundred of the RECEIVE_MESSAGES."""
BUSY_MESSAGES = 16
"""Messages in one drain that tell of more to come at once."""
BATCH_SAMPLES = 1 << 16
"""Samples after which a batch is closed: 1.8 MB, so that an inbox of them stays small."""
BATCH_BAD = 2048
"""Bad frames after which reading pauses for the rest of a batch: 100 000 a second at most."""
TICK_SECONDS = 0.5
SLEPT_SECONDS = 2.0
"""A turn that took this long was held up on this side; silence in it says nothing."""
FIRST_SECONDS = 1.2
"""Publishers look for hubs twice a second, and then connect: by now all have come."""
NEWEST_SECONDS = 0.3
"""After a newcomer, wait this long for another before all is taken for read."""
MAX_MESSAGES = 4096
"""Messages to runs that wait for this thread: one for every session."""


class Hub:
    """Everything that runs of this user on this machine publish."""

    name = "local"

    def __init__(
        self, directory: Path | None = None, *, clock: Clock, source: str = "local"
    ) -> None:
        """Meet in `directory`, by default the one publishers of this user look into.

        Args:
            directory: where the socket is bound.
            clock: the clock.
            source: how the runs came here, as runs say it.
        """
        self._directory, self._clock = directory, clock
        self.intake = Intake(clock, source)
        self._take = self.intake.frame
        self._messages: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=MAX_MESSAGES)
        self._poll_milliseconds, self._gather_seconds = POLL_MILLISECONDS, GATHER_SECONDS
        self.kept: Callable[[Intake], Iterator[Batch]] | None = None
        """Gives the intake what was kept of earlier lives of this hub."""
        self._tail = False
        """The rest of a message of too many parts is still to be read."""

    @property
    def bad(self) -> int:
        """Frames that were not of the protocol."""
        return self.intake.bad

    def send(self, session: str, message: Mapping[str, Any]) -> bool:
        """Queue a message for the session of this key, from any thread; False if it is not here."""
        known = self.intake.knows(session)
        if known:
            self._messages.append((session, message))
        return known

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Bind, and yield what comes until `stop` is set.

        Raises:
            SourceError: the directory cannot be used, or the socket was taken away.
        """
        with self._bound() as (socket, path):
            self._tail = False
            yield Batch()
            if self.kept is not None:
                yield from self.kept(self.intake)
                self.kept = None
            if path is not None:
                yield from self._past(path.parent)
            started = ticked = turned = self._clock.monotonic()
            caught_up = False
            while not stop.is_set():
                socket.poll(self._poll_milliseconds)
                self._gather(socket)
                intake = self.intake
                if intake.mono - turned > SLEPT_SECONDS:
                    intake.forgive()
                turned = intake.mono
                if turned - ticked >= TICK_SECONDS:
                    ticked = turned
                    intake.tick()
                    self._check(path)
                self._answer(socket)
                ready = not caught_up and self._is_caught_up(turned - started)
                caught_up = caught_up or ready
                batch = intake.take(caught_up=ready)
                if batch is not None:
                    yield batch

    def _past(self, directory: Path) -> Iterator[Batch]:
        """Yield what ended before there was this hub."""
        for frames in past_runs(directory, self._clock):
            take_in(self.intake, frames)
            batch = self.intake.take()
            if batch is not None:
                yield batch

    def _check(self, path: Path | None) -> None:
        """Raise SourceError if nothing can come any more."""
        if path is not None and not path.exists():
            raise SourceError(f"{path} was removed")

    def _new_path(self, directory: Path) -> Path:
        return new_socket_path(directory)

    @contextmanager
    def _bound(self) -> Iterator[tuple[zmq.Socket[bytes], Path | None]]:
        directory = checked_dir() if self._directory is None else self._directory
        sweep(directory, self._clock)
        path = self._new_path(directory)
        with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
            for option, value in OPTIONS.items():
                socket.setsockopt(option, value)
            try:
                socket.bind(f"ipc://{path}")
            except zmq.ZMQError as error:
                raise SourceError(f"{path}: {error.strerror}") from None
            try:
                yield socket, path
            finally:
                path.unlink(missing_ok=True)

    def _gather(self, socket: zmq.Socket[bytes]) -> None:
        """Read for a while from the first message on, or until a batch is full."""
        intake = self.intake
        intake.look_at_clock()
        deadline, bad = intake.mono + self._gather_seconds, intake.bad + BATCH_BAD
        while True:
            read = self._drain(socket, deadline, bad)
            intake.look_at_clock()
            left = deadline - intake.mono
            if left <= 0 or not read or intake.pending.count >= BATCH_SAMPLES:
                return
            pouring = read >= BUSY_MESSAGES and intake.bad < bad
            time.sleep(BUSY_SECONDS if pouring else left)

    def _drain(self, socket: zmq.Socket[bytes], deadline: float, bad: int) -> int:
        """Read what is there, within bounds; return the number of messages."""
        intake, recv, now = self.intake, socket.recv, zmq.NOBLOCK
        take, pending, monotonic = self._take, intake.pending, self._clock.monotonic
        read = 0
        try:
            while pending.count < BATCH_SAMPLES and intake.bad < bad:
                if not read & 63 and monotonic() > deadline:
                    break
                read += 1
                # A part as an object of its own knows whether more of them follow, which costs
                # half of asking the socket.
                if self._tail:
                    part = recv(now, copy=False, track=False)
                else:
                    identity = recv(now)
                    part = recv(now, copy=False, track=False)
                    take(identity, part.bytes)
                self._tail = part.more
        except zmq.Again:
            read -= 1
        return read

    def _answer(self, socket: zmq.Socket[bytes]) -> None:
        answers = self.intake.answers
        while self._messages:
            self.intake.tell(*self._messages.popleft())
        while answers:
            try:
                socket.send_multipart(answers.popleft(), zmq.NOBLOCK)
            except zmq.ZMQError:
                continue

    def _is_caught_up(self, age: float) -> bool:
        intake = self.intake
        settled = intake.mono - intake.introduced >= NEWEST_SECONDS
        return age >= FIRST_SECONDS and settled and intake.complete and not intake.answers
