"""Who may connect: ZeroMQ's authentication protocol (ZAP), answered in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zmq

from llmtop import keys
from llmtop.errors import ConfigError

ENDPOINT = "inproc://zeromq.zap.01"
"""Where libzmq asks, by the protocol."""
POLL_MILLISECONDS = 100
PARTS = 7
"""Of a request with CURVE: version, id, domain, address, identity, mechanism, key."""


class Guard:
    """Lets in whoever has this user's key, or one on the list, which is read anew each time."""

    def __init__(self, pair: keys.Pair, allowed: Callable[[], dict[str, str]] = keys.allowed):
        self._pair, self._allowed = pair, allowed
        self.refused = 0
        """Handshakes of strangers."""

    def protect(self, socket: zmq.Socket[bytes]) -> None:
        """Have a socket that will bind take connections with a known key only."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, bytes.fromhex(self._pair.public))
        socket.setsockopt(zmq.CURVE_SECRETKEY, bytes.fromhex(self._pair.secret))

    @contextmanager
    def watch(self, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[None]:
        """Answer for the sockets of `context`, from before they bind until they are closed."""
        socket = context.socket(zmq.REP)
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(ENDPOINT)
        stop = threading.Event()
        thread = threading.Thread(
            target=self._serve, args=(socket, stop), name="llmtop-zap", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            socket.close()

    def _serve(self, socket: zmq.Socket[bytes], stop: threading.Event) -> None:
        while not stop.is_set():
            if socket.poll(POLL_MILLISECONDS):
                socket.send_multipart(self._judge(socket.recv_multipart()))

    def _judge(self, request: list[bytes]) -> list[bytes]:
        """Return the answer to one request."""
        asks = len(request) == PARTS and request[5] == b"CURVE"
        good = asks and self._knows(request[6])
        self.refused += not good
        # After a 400 libzmq never tries again; a key may yet be allowed.
        code, text = (b"200", b"OK") if good else (
            (b"300", b"no key that is allowed yet") if asks else (b"400", b"no key")
        )
        return [b"1.0", request[1] if len(request) > 1 else b"", code, text, b"", b""]

    def _knows(self, key: bytes) -> bool:
        try:
            return key.hex() == self._pair.public or key.hex() in self._allowed()
        except ConfigError:
            return False
