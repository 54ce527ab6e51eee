"""A bad line between publishers and a hub: in both directions it loses some frames, once each."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import zmq

from llmtop.wire import Kind, unpack

LOST_PART = 0.3
KEPT = frozenset({Kind.DEFS, Kind.BUCKETS, Kind.HIST, Kind.EVENT})
"""What is sent once and never asked for: ZeroMQ loses it only with the whole connection."""


class LosingProxy:
    """Binds in `front` for publishers and connects each of them to the socket at `back`."""

    def __init__(self, front: Path, back: Path, seed: int) -> None:
        self.lost: list[int] = []
        """Kinds of the frames it lost."""
        self._address = f"ipc://{front}/mon-{os.getpid()}-proxy.sock"
        self._back = f"ipc://{back}"
        self._random = random.Random(seed)
        self._seen: set[tuple[int, int, bytes]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LosingProxy:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as front:
            front.linger = 0
            front.bind(self._address)
            backs: dict[bytes, zmq.Socket[bytes]] = {}
            poller = zmq.Poller()
            poller.register(front, zmq.POLLIN)
            while not self._stop.is_set():
                ready = dict(poller.poll(50))
                if front in ready:
                    identity, data = front.recv_multipart()
                    if identity not in backs:
                        backs[identity] = context.socket(zmq.DEALER)
                        backs[identity].linger = 0
                        backs[identity].connect(self._back)
                        poller.register(backs[identity], zmq.POLLIN)
                    if not self._loses(data):
                        backs[identity].send(data)
                for identity, back in backs.items():
                    if back in ready and not self._loses(answer := back.recv()):
                        front.send_multipart([identity, answer])
            for back in backs.values():
                back.close(0)

    def _loses(self, data: bytes) -> bool:
        frame = unpack(data)
        key = frame.kind, frame.seq, bytes(frame.payload)
        # What comes once more gets through: the line is bad, not cut.
        if frame.kind in KEPT or key in self._seen:
            return False
        self._seen.add(key)
        if self._random.random() > LOST_PART:
            return False
        self.lost.append(frame.kind)
        return True
