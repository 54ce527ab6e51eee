"""Why a connection does not come about, in the words of the operating system and of libzmq."""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

UNHEARD = zmq.EVENT_CLOSED
"""Nobody takes the connection."""
UNKNOWN = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)  # fmt: skip
"""Somebody does, but not with this key, or speaks something else."""
ASK_SECONDS = 1.0
"""For the operating system to say what is the matter."""


class Dialling:
    """Watches one socket connect."""

    def __init__(self, events: zmq.Socket[bytes]) -> None:
        self._events = events
        self.unheard = self.unknown = False

    def look(self) -> None:
        """Take in what has happened since the last look."""
        while self._events.poll(0):
            kind = int.from_bytes(self._events.recv_multipart()[0][:2], "little")
            self.unknown, self.unheard = bool(kind & UNKNOWN), bool(kind & UNHEARD)


@contextmanager
def watched(socket: zmq.Socket[bytes]) -> Iterator[Dialling]:
    """Yield what watches a socket that is about to connect."""
    with socket.get_monitor_socket(UNHEARD | UNKNOWN) as events:
        try:
            yield Dialling(events)
        finally:
            socket.disable_monitor()


def trouble(address: str) -> str:
    """Return what the operating system says against a connection to "tcp://..." or "ipc://...".

    "" if it says nothing any more.
    """
    scheme, _, place = address.partition("://")
    try:
        if scheme == "ipc":
            with sockets.socket(sockets.AF_UNIX) as one:
                one.connect(place)
        else:
            host, _, port = place.rpartition(":")
            sockets.create_connection((host.strip("[]"), int(port)), ASK_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error).lower()
    return ""
