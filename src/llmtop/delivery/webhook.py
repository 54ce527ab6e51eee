"""A web address that alerts are posted to. Certificates are verified; redirects are not followed.

What the address is never gets into a message: those of Slack and Discord are secrets.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from llmtop import __version__
from llmtop.delivery.forms import FORMS
from llmtop.delivery.settings import SinkSettings, bad_url
from llmtop.delivery.sink import NotDelivered
from llmtop.rules.alert import Alert

MAX_ANSWER = 4096
"""Bytes read of an answer, so that the server sees it taken; nothing is made of it."""
TOO_EARLY = (408, 425, 429)
"""Answers besides 5xx that say to come again."""
MAX_PAUSE_SECONDS = 60.0
"""Longer than that nobody waits because a server asks for it."""


class Webhook:
    """Posts alerts."""

    def __init__(self, settings: SinkSettings, environ: Mapping[str, str] = os.environ) -> None:
        self._settings, self._environ = settings, environ
        self._form = FORMS[settings.to]

    def check(self) -> str:
        """Return which variable is missing or holds no address."""
        settings = self._settings
        for name in (settings.url_env, settings.token_env):
            if name and not self._environ.get(name):
                return f"${name} is not set"
        why = bad_url(self._url)
        return f"${settings.url_env}: {why}" if why else ""

    def send(self, alert: Alert) -> None:
        """Post one alert, once.

        Raises:
            NotDelivered: it was not taken.
        """
        if why := self.check():
            raise NotDelivered(why)
        parts = urlsplit(self._url)
        secure = parts.scheme == "https"
        timeout = self._settings.timeout
        assert parts.hostname is not None
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout,
                                        context=ssl.create_default_context())
            if secure else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        )
        # A socket's own timeout begins anew with every byte.
        late = threading.Event()
        watch = threading.Timer(timeout, _cut, (connection, late))
        watch.daemon = True
        watch.start()
        try:
            connection.connect()
            if late.is_set():
                raise TimeoutError
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, json.dumps(self._form(alert)).encode(),
                               self._headers())
            answer = connection.getresponse()
            answer.read(MAX_ANSWER)
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered(f"certificate: {error.verify_message}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotDelivered(self._why(error, late.is_set()), again=True) from None
        finally:
            watch.cancel()
            connection.close()
        if not 200 <= answer.status < 300:
            again = answer.status in TOO_EARLY or answer.status >= 500
            raise NotDelivered(f"answers {answer.status} {answer.reason}".rstrip(), again=again,
                               pause=_pause(answer.getheader("Retry-After")))

    @property
    def _url(self) -> str:
        return self._settings.url or self._environ.get(self._settings.url_env, "").strip()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": f"llmtop/{__version__}"}
        token = self._environ.get(self._settings.token_env, "") if self._settings.token_env else ""
        if token:
            headers["Authorization"] = f"Bearer {token.strip()}"
        return headers

    def _why(self, error: Exception, late: bool) -> str:
        if late or isinstance(error, TimeoutError):
            return f"no answer within {self._settings.timeout:g} s"
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        return f"no proper answer ({type(error).__name__})"


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """End a connection that takes too long, whatever it is at."""
    late.set()
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _pause(text: str | None) -> float:
    """Return the seconds that Retry-After asks for; a date counts as none."""
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    return min(seconds, MAX_PAUSE_SECONDS) if seconds > 0 else 0.0
