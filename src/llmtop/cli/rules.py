"""The rules that the command line asks for, and what they judge."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from llmtop.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtop.rules.alerts import Alerts
    from llmtop.rules.rule import Rule


def read_rules(options: argparse.Namespace) -> Sequence[Rule] | None:
    """Return the rules, None where the built-in ones are all there is: they are read later.

    Raises:
        ConfigError: a file of rules, or a rule of the command line, cannot be used.
    """
    from llmtop.config import config_path

    if not (options.alert or options.rules or config_path().with_name("rules.toml").exists()):
        return None
    from llmtop.rules.load import load_rules

    path = Path(options.rules).expanduser() if options.rules else None
    return load_rules(path, options.alert, named=bool(options.rules))


def build_alerts(options: argparse.Namespace, *, remember: bool) -> Alerts:
    """Return the alerts of a monitor.

    Args:
        options: of the command line, with what `read_rules` returned as `ruleset`.
        remember: keep in the user's state folder what was told.
    """
    from llmtop.rules.alerts import Alerts
    from llmtop.rules.saved import state_path

    return Alerts(getattr(options, "ruleset", None), path=state_path(os.environ) if remember
                  else None)


def duration(flag: str, text: str) -> float:
    """Return a length of time such as "10m" in seconds; a number alone is seconds.

    Raises:
        UsageError: it is none.
    """
    from llmtop.errors import ConfigError
    from llmtop.rules.expression import seconds_of

    try:
        return float(text) if text.replace(".", "", 1).isdigit() else seconds_of(text)
    except ConfigError:
        raise UsageError(f"{flag}: {text!r} is not a length of time; write 30s, 10m or 1h") from (
            None)
