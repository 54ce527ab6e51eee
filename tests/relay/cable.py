"""A TCP connection that a test can cut and mend."""

from __future__ import annotations

import selectors
import socket
import threading


class Cable:
    """Passes on to `target` what comes to its own address, as long as it is whole."""

    def __init__(self, target: str) -> None:
        self.lead_to(target)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._whole = True
        self._stop = False
        self._lost: set[socket.socket] = set()
        self._others: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def lead_to(self, target: str) -> None:
        """Have connections from now on lead to `target`."""
        self._target = ("127.0.0.1", int(target.rpartition(":")[2]))

    def lose(self) -> None:
        """Let all there is hang: nothing passes, and neither end is told."""
        self._lost.update(self._others)

    def cut(self) -> None:
        self._whole = False

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self._drop([*self._others])
        self._server.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stop:
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._server:
                    self._accept()
                elif key.fileobj in self._others:
                    self._pass_on(key.fileobj)
            if not self._whole:
                self._drop([*self._others])

    def _accept(self) -> None:
        one, _ = self._server.accept()
        if not self._whole:
            one.close()
            return
        try:
            other = socket.create_connection(self._target)
        except OSError:
            one.close()
            return
        self._others |= {one: other, other: one}
        for end in (one, other):
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(1 << 16)
            if data and end in self._lost:
                return
            if data:
                self._others[end].sendall(data)
                return
        except OSError:
            pass
        self._drop([end, self._others[end]])

    def _drop(self, ends: list[socket.socket]) -> None:
        for end in ends:
            self._others.pop(end, None)
            self._lost.discard(end)
            self._selector.unregister(end)
            end.close()
