"""Where a server's page may be: what a person typed -> the addresses to try, in order."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from llmtop.errors import UsageError

PATHS = ("/metrics", "/prometheus/metrics")
"""The second is trtllm-serve's, whose /metrics is JSON."""
TRITON_PORT = 8002
"""Triton tells its metrics on a port of their own."""


def checked(text: str) -> str:
    """Return an address that can be asked.

    Raises:
        UsageError: it cannot.
    """
    parts = urlsplit(text.strip())
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"{text!r}: the port is no number from 1 to 65535") from None
    if not parts.hostname or port == 0:
        raise UsageError(f"{text!r}: no host; write http://localhost:8000")
    if parts.username or parts.password:
        raise UsageError(f"{text!r}: a password does not belong there; see --token-env")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise UsageError(f"{text!r}: not a host name") from None
    if any(char <= " " for char in text.strip()):
        raise UsageError(f"{text!r}: an address has no spaces")
    return urlunsplit(parts._replace(scheme=parts.scheme.lower(), fragment=""))


def candidates(address: str) -> list[str]:
    """Return the addresses to try: that of a page as it is, else the usual ones of its server."""
    parts = urlsplit(address)
    if parts.path.strip("/") or parts.query:
        return [address]
    found = [urlunsplit(parts._replace(path=path)) for path in PATHS]
    if parts.port != TRITON_PORT:
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        found.append(urlunsplit(parts._replace(netloc=f"{host}:{TRITON_PORT}", path=PATHS[0])))
    return found
