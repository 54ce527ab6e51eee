"""Where samples come from: one file a source, one line in `OPENERS`.

The contract. The engine runs `batches` in a thread of its own, again after a pause when it raises
(it is shown as lost meanwhile); when it returns, there is nothing more to come. A source yields
its first batch, empty perhaps, as soon as it stands, and one with `caught_up` when it has read
what existed before. It holds on to what it must not yield twice. It asks nobody for the time but
its clock, bounds all it keeps, and looks at `stop` a few times a second. To test one:
`list(source.batches(stop))`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from llmtop.clock import Clock
from llmtop.errors import UsageError, nearest
from llmtop.samples import Batch

if TYPE_CHECKING:
    from llmtop.formats.table import Table
    from llmtop.sources.scraping.settings import Settings


class Source(Protocol):
    """Something that yields batches."""

    name: str
    """What it is called on the screen, in a word or two."""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield batches until `stop` is set or nothing more can come."""
        ...


def _hub(text: str, clock: Clock) -> Source:
    from llmtop.sources.hub import Hub

    return Hub(clock=clock)


def _relay(text: str, clock: Clock) -> Source:
    from llmtop.sources.attach import Attach

    return Attach(text, clock=clock)


def _ssh(text: str, clock: Clock) -> Source:
    from llmtop.sources.ssh import Ssh

    source = Ssh(text, clock=clock)
    source.connect()
    return source


def _subscribe(text: str, clock: Clock) -> Source:
    from llmtop.sources.subscribe import Subscribe

    return Subscribe(text, clock=clock)


def _server(text: str, clock: Clock) -> Source:
    return _servers([text], clock, None)


def _servers(texts: Sequence[str], clock: Clock, settings: Settings | None) -> Source:
    from llmtop.sources.scraping.address import checked
    from llmtop.sources.scraping.source import Scrape

    return Scrape([checked(text) for text in texts], clock=clock, settings=settings)


WEB = ("http", "https")
OPENERS: dict[str, Callable[[str, Clock], Source]] = {
    "": _hub, "http": _server, "https": _server, "tcp": _relay, "ipc": _relay,
    "ssh": _ssh, "sub": _subscribe}
"""URL scheme -> what opens such a source; "" is the hub that this user's runs connect to."""


def open_sources(
    texts: Sequence[str], clock: Clock, table: Table, poll: float | None = None,
    settings: Settings | None = None,
) -> list[Source]:
    """Return the sources that some words of a command line name: one for all files together.

    Args:
        texts: URLs, "-" for stdin, paths and globs; none of them is this machine's runs.
        clock: the clock.
        table: the log formats to choose from.
        poll: how often to look at files, None to be told of changes.
        settings: how servers are watched, all by one source.

    Raises:
        UsageError: one of them cannot be opened.
    """
    from llmtop.sources.pipe import Pipe
    from llmtop.sources.tail import Tail

    paths = [text for text in texts if text != "-" and "://" not in text]
    links = {text: text.partition("://")[0].lower() for text in texts if "://" in text}
    sources: list[Source] = []
    for text, scheme in links.items():
        if scheme not in WEB:
            sources.append(open_source(text, clock))
            sources += getattr(sources[-1], "beside", ())
    if servers := [text for text, scheme in links.items() if scheme in WEB]:
        sources.append(_servers(servers, clock, settings))
    if "-" in texts:
        sources.append(Pipe(clock=clock, table=table))
    if paths:
        sources.append(Tail(paths, clock=clock, table=table, poll=poll))
    return sources or [open_source("", clock)]


def open_source(text: str, clock: Clock) -> Source:
    """Return the source that `text` names; "" is this machine's runs.

    Raises:
        UsageError: nothing here opens it.
    """
    scheme, mark, _ = text.partition("://")
    opener = OPENERS.get(scheme if mark or not text else "?")
    if opener is None:
        near = nearest(scheme, (known for known in OPENERS if known))
        raise UsageError(f"cannot open {text!r}: nothing here reads such an address{near}")
    return opener(text, clock)
