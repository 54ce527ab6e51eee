"""Where alerts go besides the screen, as the config file and the command line say."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from llmtop.cli.say import say

if TYPE_CHECKING:
    from llmtop.clock import Clock
    from llmtop.delivery.delivery import Delivery
    from llmtop.delivery.settings import SinkSettings


def sinks(options: argparse.Namespace) -> tuple[SinkSettings, ...]:
    """Return the sinks that are asked for.

    Raises:
        ConfigError: one of the config file cannot be used.
    """
    from llmtop.config import read_config

    config = read_config()
    if not (config.delivery or options.bell or options.notify or options.alert_log):
        return ()
    from llmtop.delivery.settings import read_sinks, with_options

    return with_options(read_sinks(config.path, config.delivery), bell=options.bell,
                        notify=options.notify, log=options.alert_log)


def build_delivery(options: argparse.Namespace, clock: Clock) -> Delivery | None:
    """Return what delivers alerts, None if they go nowhere.

    Args:
        options: of the command line, with what `sinks` returned as `sinks`.
        clock: the clock.
    """
    if not options.sinks:
        return None
    from llmtop.delivery.delivery import Delivery

    return Delivery(options.sinks, clock)


def to_terminal(text: str) -> None:
    """Ring and notify where no screen is drawn: through stderr, if that is a terminal."""
    if text and sys.stderr.isatty():
        sys.stderr.write(text)
        sys.stderr.flush()


def say_problems(delivery: Delivery) -> None:
    """Print what went wrong, where no screen is drawn."""
    for problem in (*delivery.problems(), delivery.status):
        if problem:
            say(problem)
