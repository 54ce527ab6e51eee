"""`llmtop serve --prometheus ADDRESS`: what llmtop knows as a page for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmtop.errors import UsageError

if TYPE_CHECKING:
    from llmtop.clock import Clock
    from llmtop.engine import Engine
    from llmtop.sources import Source

EVERYWHERE = "0.0.0.0"
"""What an address without a host means, as it does to Prometheus's own exporters."""


@dataclass(frozen=True)
class Exporter:
    """What serving the page takes."""

    jobs: tuple[Callable[[Engine, float], None], ...] = ()
    """To be called by the thread that owns the store."""
    notice: str = ""
    """Where the page is, and who can read it."""


@contextmanager
def exporter(address: str, sources: Sequence[Source], clock: Clock) -> Iterator[Exporter]:
    """Serve the page at an address until left; "" serves none.

    Raises:
        UsageError: it is no address of this machine, or taken.
    """
    if not address:
        yield Exporter()
        return
    from llmtop.cli.serve import is_loopback
    from llmtop.export.pages import Pages
    from llmtop.export.server import PATH, Server, Writer

    host, port = parse(address)
    pages = Pages(sources, clock)
    try:
        server = Server(host, port, Writer(pages, clock))
    except OSError as error:
        raise UsageError(f"--prometheus: {address}: {error.strerror or error}") from None
    shown = f"[{host}]" if ":" in host else host
    notice = f"Prometheus can scrape http://{shown}:{port}{PATH}"
    if not is_loopback(host):
        notice += f"; so can whoever reaches this machine (127.0.0.1:{port} keeps it here)"
    with server.answering():
        yield Exporter((pages.turn,), notice)


def parse(address: str) -> tuple[str, int]:
    """Return host and port of "host:port" or ":port".

    Raises:
        UsageError: it is none.
    """
    host, mark, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    good = mark and port.isdecimal() and len(port) < 6 and (":" not in host or host != bare)
    if not good or "/" in host or not 0 < int(port) < 65536:
        raise UsageError(f"--prometheus: {address!r} is no address; write :9464 or 127.0.0.1:9464")
    return bare or EVERYWHERE, int(port)
