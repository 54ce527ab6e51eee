"""The relay's socket: publishers' frames go to a hub's intake, viewers' to the relay, and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import zmq

from llmtop.clock import Clock
from llmtop.errors import SourceError, WireError
from llmtop.relay.outlet import Outlet
from llmtop.relay.peers import Peers
from llmtop.relay.zap import Guard
from llmtop.samples import Batch
from llmtop.sources import hub
from llmtop.sources.hub import OPTIONS, POLL_MILLISECONDS, Hub
from llmtop.wire import MAGIC, Kind, pack, unpack

MAX_VIEWERS = 32
"""Viewers served at once: a team, each with two screens."""
SEND_MESSAGES = 256
"""SNDHWM: what a viewer takes in a turn; at 64 kB a frame of history 16 MB a slow viewer."""
BUSY_MILLISECONDS = 2
"""Between looks while something waits for a viewer's socket."""
VIEWED_MILLISECONDS = 20
"""Between looks while there are viewers: frames for them come from another thread."""
GATHER_SECONDS = 0.05
"""How long a batch is gathered while nobody views: a thousand ranks are then read 20 times a
second, and their batches cost half of what they do at 50."""
MAX_ASKED = 4096
"""Frames of one viewer that wait for the relay's thread: a question about every session."""
ASKED = (Kind.PING, Kind.REPLAY)
"""What a viewer may ask of a session; nothing that it says goes on to a publisher."""
NOTHING = memoryview(b"")
HELLO = bytes([Kind.HELLO])
SILENT_SECONDS = 15.0
"""A viewer asks for the time each second; one that is silent so long is gone."""


class Listener(Hub):
    """Where publishers from elsewhere send, and viewers attach."""

    def __init__(self, address: str, *, clock: Clock, guard: Guard | None = None) -> None:
        """Listen at `address`, behind `guard` if there is one."""
        super().__init__(clock=clock)
        self.name = address
        self.address = address
        self.listening = threading.Event()
        """Set while one can connect."""
        self.peers = Peers()
        self._guard = guard
        self._outlets: dict[bytes, Outlet] = {}
        self._gather_seconds = GATHER_SECONDS
        self._take = self._sort

    @property
    def guarded(self) -> bool:
        """Whether only known keys may connect."""
        return self._guard is not None

    @property
    def outlets(self) -> list[Outlet]:
        """Every viewer that is connected; asked for from the relay's thread."""
        return list(self._outlets.values())

    @contextmanager
    def _bound(self) -> Iterator[tuple[zmq.Socket[bytes], Path | None]]:
        path = Path(self.address[6:]) if self.address.startswith("ipc://") else None
        with ExitStack() as stack:
            context = stack.enter_context(zmq.Context())
            if self._guard is not None:
                stack.enter_context(self._guard.watch(context))
            socket = stack.enter_context(context.socket(zmq.ROUTER))
            for option, value in OPTIONS.items():
                socket.setsockopt(option, value)
            socket.setsockopt(zmq.SNDHWM, SEND_MESSAGES)
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            if self._guard is not None:
                self._guard.protect(socket)
            try:
                socket.bind(self.address)
            except zmq.ZMQError as error:
                raise SourceError(f"{self.address}: {error.strerror}") from None
            self.listening.set()
            try:
                yield socket, path
            finally:
                self.listening.clear()
                for outlet in self._outlets.values():
                    outlet.gone = True
                self._outlets.clear()
                if path is not None:
                    path.unlink(missing_ok=True)

    def _past(self, directory: Path) -> Iterator[Batch]:
        """Yield nothing: what ended before is told by the hub of this user's runs."""
        return iter(())

    def _sort(self, identity: bytes, data: bytes) -> None:
        """Give a frame to whom it is for."""
        intake = self.intake
        if not self.peers.admit(identity, data, intake.mono):
            return
        outlet = self._outlets.get(identity)
        if outlet is None and (data[3:4] != HELLO or not _is_monitor(data)):
            intake.frame(identity, data)
            return
        try:
            frame = unpack(data)
        except WireError:
            intake.bad += 1
            return
        if frame.kind == Kind.HELLO:
            if outlet is not None:
                outlet.gone = True
            if len(self._outlets) >= MAX_VIEWERS and outlet is None:
                return
            outlet = self._outlets[identity] = Outlet(identity, frame)
        if outlet is None:
            return
        outlet.heard = intake.mono
        if frame.kind == Kind.PING and not frame.session:
            # Answered at once: the viewer reads the clock's offset from it.
            now = pack(Kind.PONG, seq=frame.seq, t0=self._clock.time())
            intake.answers.append((identity, now))
        elif frame.kind in ASKED and len(outlet.asked) < MAX_ASKED:
            short = frame.kind == Kind.REPLAY
            outlet.asked.append(frame if short else frame._replace(payload=NOTHING))

    def _answer(self, socket: zmq.Socket[bytes]) -> None:
        super()._answer(socket)
        for identity, outlet in list(self._outlets.items()):
            if self.intake.mono - outlet.heard > SILENT_SECONDS or not _flush(socket, outlet):
                outlet.gone = True
                del self._outlets[identity]
        waiting = any(outlet.frames for outlet in self._outlets.values())
        if waiting:
            self._poll_milliseconds = BUSY_MILLISECONDS
        else:
            self._poll_milliseconds = VIEWED_MILLISECONDS if self._outlets else POLL_MILLISECONDS
        self._gather_seconds = hub.GATHER_SECONDS if self._outlets else GATHER_SECONDS


def _is_monitor(data: bytes) -> bool:
    """Tell whether a frame is the HELLO of a viewer."""
    return data[3:4] == HELLO and data[:2] == MAGIC and b'"role":"monitor"' in data


def _flush(socket: zmq.Socket[bytes], outlet: Outlet) -> bool:
    """Send what waits until the socket is full; False if the viewer is not there any more."""
    frames = outlet.frames
    while frames:
        try:
            socket.send_multipart([outlet.identity, frames[0]], zmq.NOBLOCK)
        except zmq.Again:
            return True
        except zmq.ZMQError:
            return False
        outlet.took(frames.popleft())
    return True
