"""One page over HTTP: read-only, on a connection that is kept, bounded in size and in time."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from llmtop import __version__
from llmtop.clock import Clock
from llmtop.sources.scraping.dial import Dial, LookupTimeoutError

MAX_BYTES = 32 << 20
"""Of a page, unpacked: six times the largest that a proxy with many labels was seen to send."""
CHUNK = 1 << 16
ACCEPT = (
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9,*/*;q=0.1"
)
"""Plain text is preferred: OpenMetrics adds exemplars that are not shown."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
STARTED = "Process-Start-Time-Unix"
"""llama.cpp's header that says when the server began."""
GZIP = 16 + zlib.MAX_WBITS


class FetchError(Exception):
    """A page that could not be had; the text says why, in a few words."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status
        """The answer's status, 0 if there was none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent."""

    text: str
    started: str
    """When it says it began, as it says it; "" if it does not."""
    url: str
    """Where it came from, after a redirect."""


@dataclass(slots=True)
class Fetch:
    """Fetches pages from one server."""

    clock: Clock
    token: str = ""
    """Sent as a bearer token."""
    insecure: bool = False
    """Certificates are not verified."""
    _connection: http.client.HTTPConnection | None = None
    _place: tuple[str, str] = ("", "")
    _context: ssl.SSLContext | None = field(default=None, repr=False)
    _dial: Dial = field(default_factory=Dial, repr=False)

    def get(self, url: str, timeout: float) -> Answer:
        """Return the answer to a GET, one redirect followed.

        Raises:
            FetchError: there is none in time, or it is no page.
        """
        deadline = self.clock.monotonic() + timeout
        try:
            answer = self._once(url, deadline)
            if isinstance(answer, str):
                target = urljoin(url, answer)
                if urlsplit(target).scheme not in ("http", "https"):
                    raise FetchError("redirects to what is no web address")
                answer = self._once(target, deadline, trusted=_same(url, target))
                if isinstance(answer, str):
                    raise FetchError("redirects more than once")
            return answer
        except FetchError:
            raise
        except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
            self.close()
            raise FetchError(reason(error)) from None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, url: str, deadline: float, trusted: bool = True) -> Answer | str:
        """Return the answer, or where it redirects to; a kept connection may have gone stale."""
        parts = urlsplit(url)
        kept = self._connection is not None and self._place == (parts.scheme, parts.netloc)
        if kept:
            try:
                return self._ask(parts, url, deadline, trusted)
            except (http.client.RemoteDisconnected, ConnectionError):
                self.close()
        else:
            self.close()
        return self._ask(parts, url, deadline, trusted)

    def _ask(self, parts: SplitResult, url: str, deadline: float, trusted: bool) -> Answer | str:
        connection = self._connect(parts, deadline)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.response_class = partial(  # type: ignore[assignment]  # called like a class
            _Response, left=partial(self._left, deadline)
        )
        connection.request("GET", path, headers=self._headers(trusted))
        response = connection.getresponse()
        if response.status in REDIRECTS and (target := response.getheader("Location")):
            self.close()
            return target
        if response.status != 200:
            self.close()
            hint = "; see --token-env" if response.status in (401, 403) else ""
            raise FetchError(f"answers {response.status} {response.reason}".rstrip() + hint,
                             response.status)
        body = self._body(response)
        if response.will_close:
            self.close()
        return Answer(body.decode("utf-8", "replace"), response.getheader(STARTED) or "", url)

    def _headers(self, trusted: bool) -> Mapping[str, str]:
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip",
                   "User-Agent": f"llmtop/{__version__}"}
        if self.token and trusted:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def _connect(self, parts: SplitResult, deadline: float) -> http.client.HTTPConnection:
        left = partial(self._left, deadline)
        kept = self._connection
        if kept is not None and kept.sock is not None:
            kept.sock.settimeout(left())
            return kept
        host, secure = parts.hostname or "", parts.scheme == "https"
        connection = self._connection = (
            http.client.HTTPSConnection(host, parts.port, context=self._tls()) if secure
            else http.client.HTTPConnection(host, parts.port)
        )
        connection.auto_open = 0
        connection.sock = self._dial.connect(connection.host, connection.port, left)
        if secure:
            connection.sock.settimeout(left())
            connection.sock = self._tls().wrap_socket(
                connection.sock, server_hostname=connection.host
            )
        self._place = parts.scheme, parts.netloc
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            if self.insecure:
                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        return self._context

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        packed = (response.getheader("Content-Encoding") or "").strip().lower()
        if packed not in ("", "identity", "gzip", "x-gzip"):
            raise FetchError(f"answers in {packed}, which was not asked for")
        unpack = zlib.decompressobj(GZIP) if packed.endswith("gzip") else None
        parts, size = [], 0
        while chunk := response.read(CHUNK):
            if unpack is not None:
                chunk = unpack.decompress(chunk, MAX_BYTES - size + 1)
            size += len(chunk)
            if size > MAX_BYTES:
                self.close()
                raise FetchError(f"sends more than {MAX_BYTES >> 20} MiB")
            parts.append(chunk)
        # A page that is cut would be a page on which counters are gone.
        if response.length or (unpack is not None and not unpack.eof):
            self.close()
            raise FetchError("breaks off within its page")
        return b"".join(parts)

    def _left(self, deadline: float) -> float:
        left = deadline - self.clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Response(http.client.HTTPResponse):
    """An answer that is there by a deadline."""

    def __init__(
        self, sock: socket.socket, *args: Any, left: Callable[[], float], **named: Any
    ) -> None:
        super().__init__(sock, *args, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_InTime(sock, left))


class _InTime(io.RawIOBase):
    """What a socket receives by a deadline: its own timeout begins anew with every byte."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock, self._left = sock, left
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        self._sock.settimeout(self._left())
        return self._raw.readinto(into)

    def close(self) -> None:
        self._raw.close()
        super().close()


def reason(error: Exception) -> str:
    """Return in a few words why there was no answer."""
    if isinstance(error, LookupTimeoutError):
        return "its name is not resolved in time"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}; see --insecure"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return f"no HTTP: {error or type(error).__name__}"[:80]


def _same(one: str, other: str) -> bool:
    """Tell whether two addresses are one server's: a token is for the server it was meant for."""
    a, b = urlsplit(one), urlsplit(other)
    return (a.hostname, a.port) == (b.hostname, b.port) and (
        a.scheme == b.scheme or b.scheme == "https"
    )
