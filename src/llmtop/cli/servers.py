"""What the command line says of servers and their pages: one `Settings` for all of them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping

from llmtop.errors import UsageError
from llmtop.slo import parse_slo
from llmtop.sources.scraping.settings import DEFAULT_SECONDS, Settings

SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 3600.0
NO_DISCOVER = "LLMTOP_NO_DISCOVER"
"""Set to anything but "" or 0, nobody looks for servers on this machine."""


def server_settings(
    options: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Return how servers are watched.

    Raises:
        UsageError: an option cannot be used.
    """
    interval = getattr(options, "interval", None)
    if interval is not None and not SHORTEST_SECONDS <= interval <= LONGEST_SECONDS:
        raise UsageError(
            f"--interval: between {SHORTEST_SECONDS:g} and {LONGEST_SECONDS:g} seconds"
        )
    token, variable = "", getattr(options, "token_env", "")
    if variable:
        token = environ.get(variable, "").strip()
        if not token or not token.isprintable():
            raise UsageError(f"--token-env: the environment has no token in {variable!r}")
    patterns = []
    for text in getattr(options, "metric", None) or ():
        try:
            patterns.append(re.compile(text))
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(f"--metric: {text!r} is no regular expression: {error}") from None
    insecure = bool(getattr(options, "insecure", False))
    seconds = DEFAULT_SECONDS if interval is None else interval
    return Settings(seconds, insecure, token, tuple(patterns))


def limits(options: argparse.Namespace) -> dict[str, float]:
    """Return the latencies promised: of the command line, else of the config file.

    Raises:
        UsageError: they cannot be used.
    """
    text = getattr(options, "slo", "")
    if not text:
        from llmtop.config import read_config

        text = read_config().slo
    return parse_slo(text)


def discovers(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether servers on this machine are looked for: where nothing was named to watch."""
    if environ.get(NO_DISCOVER, "") not in ("", "0") or getattr(options, "no_discover", False):
        return False
    return not (getattr(options, "source", None) or getattr(options, "command", None))
