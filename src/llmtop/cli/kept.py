"""Where runs are kept, and by which commands."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmtop.errors import UsageError

if TYPE_CHECKING:
    from llmtop.clock import Clock
    from llmtop.engine import Engine
    from llmtop.keep.limits import Limits
    from llmtop.relay.relay import Relay
    from llmtop.rules.alerts import Alerts
    from llmtop.sources import Source

LOG_BYTES = 1 << 20
"""Of the log of a screen, which has no viewers: what comes of some runs in ten seconds, so that it
can go on for another monitor that was keeping them."""


def folder(options: argparse.Namespace) -> Path:
    """Return where kept runs are.

    Raises:
        UsageError: the command line says nowhere.
    """
    from llmtop.keep.folder import runs_folder

    if options.state == "":
        raise UsageError("--state: name a folder; '' is for llmtop serve, to keep nothing")
    return runs_folder(os.environ) if options.state is None else Path(options.state).expanduser()


def limits() -> Limits:
    """Return what the config file says of kept runs.

    Raises:
        ConfigError: it cannot be used.
    """
    from llmtop.config import read_config
    from llmtop.keep.limits import read_limits

    config = read_config()
    return read_limits(config.path, config.runs)


def remembers(options: argparse.Namespace) -> bool:
    """Tell whether the screen keeps what it sees.

    Raises:
        ConfigError: the config file cannot be used.
    """
    from llmtop.config import read_config

    # A start pays for the checks only where the table is there.
    told = read_config().runs and limits().remember
    return options.state != "" and bool(options.remember or told)


def remembering(
    options: argparse.Namespace, sources: Sequence[Source], clock: Clock, alerts: Alerts
) -> Engine:
    """Return an engine over `sources` that keeps what it sees; `forget` lets go of it."""
    from llmtop.engine import Engine
    from llmtop.keep.keeping import keep
    from llmtop.relay.channels import Channels
    from llmtop.relay.log import Log
    from llmtop.relay.relay import PublishedStore, pass_on

    channels = Channels(os.urandom(8), Log(LOG_BYTES))
    store = PublishedStore(channels, clock, memory_bytes=options.memory_bytes)
    pass_on(sources)
    engine = Engine(store, sources, clock, alerts)
    keeper = keep(engine, channels, folder(options), limits())
    options.close = lambda: keeper.close(store, clock.time())
    return engine


@contextmanager
def keeping(options: argparse.Namespace, relay: Relay, hubs: Iterable[object]) -> Iterator[None]:
    """Keep what a relay passes on, and let its hubs begin with what was kept of late.

    Raises:
        ConfigError: the config file cannot be used.
    """
    from llmtop.keep.keeping import begin_with, keep
    from llmtop.sources.hub import Hub

    if options.state == "":
        yield
        return
    where, engine = folder(options), relay.engine
    for hub in hubs:
        if isinstance(hub, Hub):
            begin_with(hub, where, engine.clock, others=hub.name == Hub.name)
    keeper = keep(engine, relay.channels, where, limits())
    try:
        yield
    finally:
        keeper.close(engine.store, engine.clock.time())
