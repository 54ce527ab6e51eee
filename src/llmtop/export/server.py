"""The page over HTTP, for clients that may be slow or hostile."""

from __future__ import annotations

import gzip
import io
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from prometheus_client.exposition import choose_encoder, gzip_accepted

from llmtop.clock import Clock
from llmtop.errors import printable
from llmtop.export.families import Families
from llmtop.export.pages import ClosedError, Pages

PATH = "/metrics"
OPENMETRICS_TYPE = "application/openmetrics-text"
OPENMETRICS = f"{OPENMETRICS_TYPE}; version=1.0.0"
READ_SECONDS = 5.0
"""For a whole request, however it drips."""
WRITE_SECONDS = 10.0
"""For a whole answer: Prometheus gives up after ten seconds, too."""
PAGE_SECONDS = 8.0
"""For a page to be made and written, so that who waits is told before he gives up."""
REQUEST_BYTES = 16 << 10
POLL_SECONDS = 0.1
"""How late the end is seen."""
MAX_CLIENTS = 64
"""Connections at once, a thread each."""
MAX_CLIENTS_A_HOST = 16
"""Of one address, so that one client does not keep all others out."""
YOUNG_SECONDS = 0.25
"""A page is sent again for so long: well within a second, the shortest usual interval."""
YOUNG_TIMES = 4.0
"""And so many times as long as it took to write: whoever asks all the time costs a quarter of a
core at most."""
QUICKLY = 1
"""gzip's level: 4.4 MB become 0.58 MB in 0.02 s; at level 9 it is 0.47 MB, in 0.28 s."""


class Writer:
    """Asks for pages and writes them, in a thread of its own that is their only owner."""

    def __init__(self, pages: Pages, clock: Clock) -> None:
        self.clock = clock
        self._pages = pages
        self._thread = ThreadPoolExecutor(1, "llmtop-page")
        self._page: Families | None = None
        self._good_until = 0.0
        self._written: dict[tuple[str, bool], bytes] = {}

    def get(self, accept: str, encoding: str) -> tuple[bytes, dict[str, str]]:
        """Return a page as a client takes it, and its headers; from any thread.

        Raises:
            TimeoutError: it took too long.
            ClosedError: llmtop serve ends.
        """
        # Only whether it takes OpenMetrics: a version it names would be one more page to write.
        encoder, content_type = choose_encoder(OPENMETRICS if OPENMETRICS_TYPE in accept else "")
        zipped = gzip_accepted(encoding)
        asked = self._thread.submit(self._get, encoder, content_type, zipped)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return asked.result(PAGE_SECONDS), headers

    def close(self) -> None:
        """Make no more pages."""
        self._pages.close()
        self._thread.shutdown(cancel_futures=True)

    def _get(self, encoder: Callable[[Any], bytes], content_type: str, zipped: bool) -> bytes:
        if self._page is None or self.clock.monotonic() > self._good_until:
            self._page, self._written = self._pages.ask().result(PAGE_SECONDS), {}
            self._good_until = self.clock.monotonic() + YOUNG_SECONDS
        for one in (False, True)[: 1 + zipped]:
            if (content_type, one) not in self._written:
                began = self.clock.monotonic()
                plain = self._written.get((content_type, False))
                self._written[content_type, one] = (
                    encoder(self._page) if plain is None else gzip.compress(plain, QUICKLY)
                )
                self._good_until += YOUNG_TIMES * (self.clock.monotonic() - began)
        return self._written[content_type, zipped]


class Server(ThreadingHTTPServer):
    """Listens, from the moment it is made; answers once it is started."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, writer: Writer) -> None:
        """Listen at an address of this machine.

        Raises:
            OSError: that cannot be done.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.writer = writer
        self._clients: dict[Any, str] = {}
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking the network what this machine is called, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "llmtop", int(self.server_address[1])

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer until left."""
        thread = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="llmtop-http", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()
            self.writer.close()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Tell whether there is room for one more client, and for one more of that address."""
        host = client_address[0]
        known = Counter(list(self._clients.values()))
        if known.total() >= MAX_CLIENTS or known[host] >= MAX_CLIENTS_A_HOST:
            return False
        self._clients[request] = host
        return True

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._clients.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""


class _Hurried(io.RawIOBase):
    """What a client sends, up to a deadline and a number of bytes."""

    def __init__(self, connection: socket.socket, clock: Clock) -> None:
        self._connection, self._clock = connection, clock
        self._until, self._left = clock.monotonic() + READ_SECONDS, REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._until - self._clock.monotonic()
        if seconds <= 0 or self._left <= 0:
            raise TimeoutError("a request that is too slow or too large")
        self._connection.settimeout(seconds)
        got = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= got
        return got


class _Handler(BaseHTTPRequestHandler):
    """One request; the connection is closed after it."""

    server: Server
    server_version, sys_version = "llmtop", ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Hurried(self.connection, self.server.writer.clock))

    def do_GET(self) -> None:
        self.connection.settimeout(WRITE_SECONDS)
        if self.path.partition("?")[0] == "/":
            page = f'<a href="{PATH}">metrics</a> of llmtop\n'.encode()
            self._answer(HTTPStatus.OK, page, {"Content-Type": "text/html"})
            return
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, f"the page is {PATH}")
            return
        try:
            page, headers = self.server.writer.get(
                self.headers.get("Accept", ""), self.headers.get("Accept-Encoding", "")
            )
        except (FutureTimeoutError, TimeoutError, CancelledError, ClosedError, RuntimeError):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "no page could be made in time")
            return
        except Exception as error:  # a page that cannot be made is said to whoever asked for it
            said = printable(f"{type(error).__name__}: {error}")
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=said)
            return
        self._answer(HTTPStatus.OK, page, headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: HTTPStatus, page: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(page))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)
