"""A small monitor for tests: a ROUTER that keeps to the protocol and remembers everything."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import zmq

from llmtop.wire import BIN, BUCKET, FROM_SEQ, RECORD, SID, Frame, Kind, pack, read_json, unpack

PATIENCE = 40.0
"""Seconds within which anything should happen; only a failing test waits so long."""


class Heard:
    """What one session has said."""

    def __init__(self) -> None:
        self.hellos: list[dict[str, Any]] = []
        self.names: dict[int, str] = {}
        self.meta: dict[str, dict[str, Any]] = {}
        self.expected: int | None = None
        self.samples: list[tuple[str, float, int, float]] = []
        self.buckets: list[tuple[Any, ...]] = []
        self.bins: dict[str, dict[int, int]] = {}
        self.events: list[dict[str, Any]] = []
        self.seen_events: set[int] = set()
        self.bye: dict[str, Any] | None = None
        self.gaps = 0
        self.dropped = 0
        self.asked = 0.0
        self.order: list[int] = []

    def values(self, name: str) -> list[float]:
        return [value for one, _, _, value in self.samples if one == name]

    def points(self, name: str) -> list[tuple[int, float]]:
        return [(step, value) for one, _, step, value in self.samples if one == name]

    def texts(self, level: str) -> list[str]:
        return [event["text"] for event in self.events if event["level"] == level]


class Listener:
    """Binds a socket in `directory`, or at `address`, and listens when told to."""

    def __init__(
        self, directory: Path | None = None, *, address: str = "", lose: Iterable[int] = ()
    ) -> None:
        self.lose = set(lose)
        self.sessions: dict[int, Heard] = {}
        self.identities: dict[int, bytes] = {}
        """Where the newest frame of a session came from."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 0)
        if directory is not None:
            address = f"ipc://{directory}/mon-{os.getpid()}-{os.urandom(3).hex()}.sock"
        self._socket.bind(address)
        self.path = address.removeprefix("ipc://") if directory is not None else None
        self.address = self._socket.get(zmq.LAST_ENDPOINT).decode()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self.path:
            Path(self.path).unlink(missing_ok=True)
            self.path = None
        self._context.destroy(linger=0)

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Listen until `condition()` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {self.story()}"
            if self._socket.poll(20):
                self._listen()

    def only(self) -> Heard:
        """Return the one session there is."""
        assert len(self.sessions) == 1, self.story()
        return next(iter(self.sessions.values()))

    def hear(self, condition: Callable[[Heard], object] = lambda heard: heard.bye) -> Heard:
        """Listen until the one session satisfies `condition`; return it."""
        self.until(lambda: self.sessions and condition(self.only()))
        return self.only()

    def story(self) -> list[Any]:
        return [
            (h.hellos[-1:], len(h.samples), h.samples[-2:], h.events, h.bye, h.expected)
            for h in self.sessions.values()
        ]

    def ask(self, identity: bytes, kind: int, payload: bytes = b"", session: int = 0) -> None:
        self._socket.send_multipart([identity, pack(kind, payload, session=session)])

    def _listen(self) -> None:
        for _ in range(500):
            try:
                identity, data = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(identity, unpack(data))

    def _take(self, identity: bytes, frame: Frame) -> None:
        if frame.session not in self.sessions and frame.kind != Kind.HELLO:
            self.ask(identity, Kind.PING)
            return
        heard = self.sessions.setdefault(frame.session, Heard())
        self.identities[frame.session] = identity
        heard.order.append(frame.kind)
        kind = Kind(frame.kind)
        if kind == Kind.HELLO:
            heard.hellos.append(read_json(frame, dict))
            heard.expected = heard.hellos[-1]["first_seq"]
        elif kind == Kind.DEFS:
            for sid, name, meta in read_json(frame, list):
                heard.names[sid] = name
                heard.meta[name] = meta
        elif kind == Kind.DATA:
            self._data(identity, heard, frame)
        elif kind == Kind.EVENT:
            self._event(heard, frame)
        elif kind == Kind.BUCKETS:
            heard.buckets += BUCKET.iter_unpack(frame.payload)
        elif kind == Kind.HIST:
            name = heard.names[SID.unpack_from(frame.payload)[0]]
            heard.bins[name] = dict(BIN.iter_unpack(frame.payload[SID.size :]))
        elif kind == Kind.BYE:
            if self._whole(identity, heard, frame):
                heard.bye = read_json(frame, dict)
        elif kind == Kind.PONG:
            self._whole(identity, heard, frame)
        elif kind == Kind.PING and self._whole(identity, heard, frame):
            self.ask(identity, Kind.PONG, session=frame.session)

    def _data(self, identity: bytes, heard: Heard, frame: Frame) -> None:
        if frame.seq in self.lose:
            self.lose.discard(frame.seq)
            return
        if frame.seq < (heard.expected or 0):
            return
        if self._whole(identity, heard, frame):
            heard.expected = frame.seq + 1
            for sid, dt, step, value in RECORD.iter_unpack(frame.payload):
                heard.samples.append((heard.names[sid], frame.t0 + dt * 1e-6, step, value))

    def _event(self, heard: Heard, frame: Frame) -> None:
        event = read_json(frame, dict)
        if frame.seq == 0 and event["level"] == "dropped":
            heard.dropped += event["count"]
            heard.expected = event.get("next_seq", heard.expected)
        if frame.seq == 0 or frame.seq not in heard.seen_events:
            heard.events.append(event)
            heard.seen_events.add(frame.seq)

    def _whole(self, identity: bytes, heard: Heard, frame: Frame) -> bool:
        """Return whether nothing before `frame` is missing; ask for it if something is."""
        if frame.seq == heard.expected:
            return True
        if time.monotonic() - heard.asked > 1.0:
            heard.gaps += 1
            heard.asked = time.monotonic()
            self.ask(identity, Kind.REPLAY, FROM_SEQ.pack(heard.expected or 0), frame.session)
        return False
