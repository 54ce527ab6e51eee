"""Having what an engine sees kept, and a hub begin with what was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from llmtop.clock import Clock
from llmtop.engine import Engine
from llmtop.errors import ConfigError
from llmtop.keep import folder as folders
from llmtop.keep.book import Book
from llmtop.keep.keeper import Keeper
from llmtop.keep.limits import Limits
from llmtop.keep.page import OWN
from llmtop.keep.reading import frames
from llmtop.keep.room import size_and_age
from llmtop.keep.source import feed
from llmtop.keep.writer import Writer
from llmtop.relay.channels import Channels
from llmtop.relay.relay import PublishedStore
from llmtop.samples import Batch
from llmtop.sources.hub import Hub
from llmtop.sources.intake import Intake

RECENT_SECONDS = 86_400.0
"""A hub begins with the runs that were written to within this time: last night's are looked at in
the morning."""
RECENT_RUNS = 64
RECENT_BYTES = 48 << 20
"""A second of reading, in which what publishers send waits."""


def keep(engine: Engine, channels: Channels, folder: Path, limits: Limits) -> Keeper:
    """Have all that goes through `channels` written to `folder` from now on."""
    writer = Writer(folder, limits, engine.clock)
    keeper = Keeper(writer, channels.log, [state.name for state in engine.source_states])
    channels.log.hear = keeper.hear
    assert isinstance(engine.store, PublishedStore)
    engine.store.keeper = keeper
    engine.source_states.append(writer.state)
    return keeper


def begin_with(hub: Hub, folder: Path, clock: Clock, *, others: bool = False) -> None:
    """Let a hub begin with what it was sent of late before it was started.

    Args:
        hub: The hub.
        folder: Where runs are kept.
        clock: The clock.
        others: It also takes what came by sockets of other lives, whose names were others.
    """

    def wanted(origin: str) -> bool:
        return origin == hub.name or (others and origin.startswith("ipc://"))

    hub.kept = lambda intake: recent(intake, folder, clock, wanted)


def recent(
    intake: Intake, folder: Path, clock: Clock, wanted: Callable[[str], bool]
) -> Iterator[Batch]:
    """Yield the recent runs that came by origins that are `wanted`, oldest first.

    What cannot be read is left out: whoever lists the runs is told of it.
    """
    for path in _recent_paths(folder, clock.time()):
        try:
            book = Book(path)
        except ConfigError:
            continue
        try:
            keys = {key for key, known in book.sessions.items()
                    if wanted(known.origin) and not key.startswith(OWN)}
            for some in frames(book, keys) if keys else ():
                yield from feed(intake, some)
        except ConfigError:
            continue
        finally:
            book.close()
    for session in intake.sessions.values():
        # Whoever lives says so; of others it is not known, and nobody is to be asked.
        session.over = session.over or "died"
    yield from feed(intake, [], all_of_it=True)


def _recent_paths(folder: Path, now: float) -> list[Path]:
    try:
        found = [(*size_and_age(path), path) for path in folders.paths(folder)]
    except ConfigError:
        return []
    left, chosen = RECENT_BYTES, []
    for size, changed, path in sorted(found, key=lambda one: -one[1])[:RECENT_RUNS]:
        if now - changed < RECENT_SECONDS and size <= left:
            left -= size
            chosen.append(path)
    return chosen[::-1]
