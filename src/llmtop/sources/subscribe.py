"""A foreign ZeroMQ PUB socket that sends JSON objects, or frames of this protocol.

Nothing can be asked of a PUB: what it sends before this side is there, or while it is away, is not
known here. A message may be one part, or a topic and then parts of which the last is read; a topic
before the object in one part ("metrics {...}") is a topic too. An object without a "run" is of the
run its topic names, else of one called by the address.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import zmq

from llmtop.clock import Clock
from llmtop.errors import SourceError, UsageError
from llmtop.samples import Batch
from llmtop.sources.hub import BATCH_SAMPLES, GATHER_SECONDS, POLL_MILLISECONDS, TICK_SECONDS
from llmtop.sources.intake import Intake
from llmtop.wire import MAGIC, MAX_FRAME_BYTES, clean_name

SCHEME = "sub://"
OPTIONS = {
    zmq.MAXMSGSIZE: MAX_FRAME_BYTES, zmq.RCVHWM: 1000, zmq.LINGER: 0, zmq.HEARTBEAT_IVL: 2000,
    zmq.HEARTBEAT_TIMEOUT: 6000, zmq.HANDSHAKE_IVL: 3000, zmq.RECONNECT_IVL: 250,
    zmq.RECONNECT_IVL_MAX: 10_000,
}  # fmt: skip
MAX_TOPIC = 200
"""Bytes before an object that may be a topic."""
QUIET_SECONDS = 2.0
"""Without a message for so long, nothing more of what there was is awaited."""
PUBLISHER = b"pub"
"""The one connection's name in the intake."""


class Subscribe:
    """Everything that one PUB socket sends."""

    def __init__(self, text: str, *, clock: Clock) -> None:
        """Subscribe to "sub://host:port".

        Raises:
            UsageError: it is no such address.
        """
        place = text.removeprefix(SCHEME).rstrip("/")
        host, mark, port = place.rpartition(":")
        if not mark or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(f"{text!r} is no address; write sub://host:port")
        self.name = f"{SCHEME}{place}"
        self.intake = Intake(clock, self.name)
        self._address = f"tcp://{place}"
        self._place = place
        self._clock = clock
        self._odd = 0
        self._status = ""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what comes until `stop` is set; a PUB that is away is waited for.

        Raises:
            SourceError: the address cannot be used.
        """
        with self._connected() as socket:
            intake, caught_up = self.intake, False
            self._status = self._tell(0, 0.0)
            yield Batch(status=self._status)
            intake.look_at_clock()
            began = ticked = heard = intake.mono
            came = 0
            while not stop.is_set():
                socket.poll(POLL_MILLISECONDS)
                read = self._gather(socket)
                came += read
                heard = intake.mono if read else heard
                if intake.mono - ticked >= TICK_SECONDS:
                    ticked = intake.mono
                    intake.tick()
                # A PUB cannot be asked anything.
                intake.answers.clear()
                settled = came > 0 or intake.mono - began >= QUIET_SECONDS
                ready = not caught_up and settled
                caught_up = caught_up or ready
                batch = intake.take(caught_up=ready)
                status = self._tell(came, intake.mono - heard)
                if status != self._status:
                    self._status = status
                    batch = replace(batch or Batch(), status=status)
                if batch is not None:
                    yield batch

    @contextmanager
    def _connected(self) -> Iterator[zmq.Socket[bytes]]:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            for option, value in OPTIONS.items():
                socket.setsockopt(option, value)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
            try:
                socket.connect(self._address)
            except zmq.ZMQError as error:
                raise SourceError(f"{self._address}: {error.strerror}") from None
            yield socket

    def _gather(self, socket: zmq.Socket[bytes]) -> int:
        """Read for GATHER_SECONDS at most; return the number of messages."""
        intake = self.intake
        intake.look_at_clock()
        deadline, read = intake.mono + GATHER_SECONDS, 0
        while intake.pending.count < BATCH_SAMPLES:
            try:
                self._message(socket.recv_multipart(zmq.NOBLOCK))
                read += 1
                continue
            except zmq.Again:
                intake.look_at_clock()
            if not read or intake.mono >= deadline:
                break
            time.sleep(GATHER_SECONDS / 4)
        return read

    def _message(self, parts: list[bytes]) -> None:
        """Read one message: frames as they are, an object under the run that it is of."""
        data, topic = parts[-1], parts[0] if len(parts) > 1 else b""
        if data[: len(MAGIC)] == MAGIC:
            self.intake.frame(PUBLISHER, data)
            return
        start = data.find(b"{", 0, MAX_TOPIC)
        if start < 0:
            self._odd += 1
            return
        topic = topic or data[:start]
        before = self.intake.bad
        self.intake.frame(PUBLISHER, self._named(data[start:], topic))
        self._odd += self.intake.bad - before

    def _named(self, data: bytes, topic: bytes) -> bytes:
        """Return an object that says which run it is of."""
        name = clean_name(topic.strip()[:MAX_TOPIC]) if topic.strip() else self._place
        if b'"run"' in data and _says_run(data):
            return data
        rest = data[1:].lstrip()
        comma = b"" if rest.startswith(b"}") else b","
        return b'{"run":' + json.dumps(name).encode() + comma + rest

    def _tell(self, came: int, silent: float) -> str:
        """Return what a person should know."""
        if not came:
            return "nothing has come yet"
        if self._odd:
            return f"{self._odd:,} messages were neither JSON objects nor frames"
        return f"silent for {silent // 60:.0f} min" if silent >= 60 else ""


def _says_run(data: bytes) -> bool:
    """Tell whether an object has a "run" of its own; what is no object stays as it is."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return True
    return "run" in found
