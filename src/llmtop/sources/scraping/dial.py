"""A connection by a deadline, the lookup of the host's name included.

The system's lookup takes no time limit, so another thread waits for it. One that was left behind
is not repeated but waited for again.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

Place = tuple[str, int]
Address = tuple[Any, ...]
"""Of getaddrinfo: family, type, protocol, canonical name, socket address."""
Answer = list[Address] | Exception


class LookupTimeoutError(TimeoutError):
    """A name that was not looked up in time."""


class Dial:
    """Connects to one server again and again."""

    def __init__(self) -> None:
        self._asked: tuple[Place, Queue[Answer]] | None = None

    def connect(self, host: str, port: int, left: Callable[[], float]) -> socket.socket:
        """Return a connected socket.

        Args:
            host: name or address.
            port: the port.
            left: seconds that are left; raises TimeoutError when there are none.

        Raises:
            OSError: there is no such host, nobody there, or no time left.
        """
        failed: OSError = OSError("no such host")
        for family, kind, protocol, _, address in self._addresses(host, port, left):
            try:
                connection = socket.socket(family, kind, protocol)
            except OSError as error:
                failed = error
                continue
            try:
                connection.settimeout(left())
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                failed = error
            else:
                return connection
        raise failed

    def _addresses(self, host: str, port: int, left: Callable[[], float]) -> list[Address]:
        if _is_address(host):
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        place = host, port
        if self._asked is None or self._asked[0] != place:
            answers: Queue[Answer] = Queue()
            self._asked = place, answers
            threading.Thread(
                target=_look_up, args=(place, answers), name="llmtop-lookup", daemon=True
            ).start()
        try:
            answer = self._asked[1].get(timeout=left())
        except Empty:
            raise LookupTimeoutError from None
        self._asked = None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _look_up(place: Place, answers: Queue[Answer]) -> None:
    try:
        answers.put(list(socket.getaddrinfo(*place, type=socket.SOCK_STREAM)))
    except (OSError, ValueError) as error:  # a name that no lookup takes is no host either
        answers.put(error)
