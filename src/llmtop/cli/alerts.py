"""`llmtop alerts`: the rules there are; `llmtop alerts test RULES SOURCE`: when they would fire."""

from __future__ import annotations

import argparse
import os
import textwrap
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llmtop.cli.check import lines, say_untimed
from llmtop.errors import UsageError, nearest

if TYPE_CHECKING:
    from llmtop.rules.rule import Rule

WIDTH = 100
INDENT = "    "
LATELY_SECONDS = 3600.0
"""What no monitor has seen firing for an hour is nothing to go by."""


def run_alerts(words: list[str], options: argparse.Namespace) -> int:
    """List the rules, or test them; return 0.

    Raises:
        UsageError: it is followed by something else.
    """
    if words[:1] == ["test"]:
        return run_test(words[1:], options)
    if words:
        raise UsageError(f"alerts: {words[0]!r} is nothing it knows"
                         f"{nearest(words[0], ['test'])}; write llmtop alerts, or "
                         "llmtop alerts test RULES SOURCE")
    from llmtop.rules.load import built_in

    rules = built_in() if options.ruleset is None else options.ruleset
    for line in describe(rules, _firing()):
        print(line)  # noqa: T201
    return 0


def run_test(words: list[str], options: argparse.Namespace) -> int:
    """Live through finished logs with the rules of a file; return 0.

    Raises:
        UsageError: rules or source are missing.
        ConfigError: the rules cannot be used.
    """
    from llmtop.cli.watch import open_named
    from llmtop.rules.alerts import Alerts
    from llmtop.rules.load import load_rules
    from llmtop.rules.replay import replay
    from llmtop.store import Store

    if len(words) < 2:
        raise UsageError("alerts test: name a file of rules (- for the built-in ones) and a log")
    path = None if words[0] == "-" else Path(words[0]).expanduser()
    rules = load_rules(path, options.alert, named=path is not None)
    options.source = words[1:]
    store = Store(memory_bytes=options.memory_bytes)
    fired = replay(store, Alerts(rules), open_named(options))
    say_untimed(store)
    for line in lines(fired, store):
        print(line)  # noqa: T201
    on = sum(rule.enabled for rule in rules)
    runs = ", ".join(run.name for run in store.runs) or "nothing"
    points = sum(one.n for one in store.series if not one.derived)
    word = "alert" if len(fired) == 1 else "alerts"
    print(f"{len(fired)} {word} of {on} rules over {points:,} points of {runs}")  # noqa: T201
    return 0


def describe(rules: tuple[Rule, ...], firing: dict[str, str]) -> list[str]:
    """Return the rules in lines: name, severity, state, condition, and where it stands."""
    width = max((len(rule.name) for rule in rules), default=0)
    states = [firing.get(rule.name, "on" if rule.enabled else "off") for rule in rules]
    wide = max((len(state) for state in states), default=0)
    out = []
    for rule, state in zip(rules, states, strict=True):
        per = "" if rule.per == "run" else f"per {rule.per}"
        out.append(f"{rule.name:<{width}}  {rule.severity:<8}  {state:<{wide}}  {per:<10}  "
                   f"{rule.source}".rstrip())
        times = [f"for {_time(rule.wait)}"] if rule.wait else []
        times += [f"clear when {rule.clear.text}"] if rule.clear else []
        out += textwrap.wrap("; ".join([rule.condition, *times]), WIDTH,
                             initial_indent=INDENT, subsequent_indent=INDENT)
    return out


def _time(seconds: float) -> str:
    for length, unit in ((3600, "h"), (60, "m")):
        if seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def _firing() -> dict[str, str]:
    """Return, by rule, how many alerts a monitor has seen firing lately, and when the last time."""
    from llmtop.clock import SystemClock
    from llmtop.rules.saved import read_saved, state_path

    now = SystemClock().time()
    found: dict[str, list[float]] = {}
    for key, one in read_saved(state_path(os.environ), now).items():
        if one.resolved_at is None and now - one.seen < LATELY_SECONDS:
            found.setdefault(key.partition(":")[0], []).append(one.seen)
    return {name: f"firing {len(seen)} at {datetime.fromtimestamp(max(seen)):%H:%M}"
            for name, seen in found.items()}
