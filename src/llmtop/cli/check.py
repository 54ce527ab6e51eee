"""`llmtop check SOURCE...`: judge the rules without a screen, for CI, cron and Slurm epilogues."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmtop.cli.deliver import build_delivery, say_problems, to_terminal
from llmtop.cli.rules import build_alerts, duration
from llmtop.cli.say import say
from llmtop.clock import SystemClock

if TYPE_CHECKING:
    from llmtop.delivery.delivery import Delivery
    from llmtop.rules.alert import Alert
    from llmtop.store import Store

QUIET, FIRED = 0, 1
LOOK_SECONDS = 0.25
"""Between two pumps: what a screen does."""
DELIVER_SECONDS = 60.0
"""For what waits at the end, further attempts included: nobody is there to look later."""


def run_check(words: list[str], options: argparse.Namespace) -> int:
    """Judge what sources hold, and what comes in `--for` a time; return 1 if anything fired.

    What fires with severity info is printed and counts as quiet.

    Raises:
        UsageError: a source or a length of time cannot be used.
    """
    seconds = duration("--for", options.lasting) if options.lasting else 0.0
    options.source = words
    delivery = build_delivery(options, SystemClock())
    fired, store = (_watch(options, seconds, delivery) if seconds or not _finished(words)
                    else _live_through(options, delivery))
    if options.json:
        from llmtop.rules.entry import alert_entry

        print(json.dumps([alert_entry(one) for one in fired], allow_nan=False))  # noqa: T201
    else:
        for line in lines(fired, store):
            print(line)  # noqa: T201
    if delivery is not None:
        delivery.close(DELIVER_SECONDS)
        say_problems(delivery)
    return FIRED if any(one.severity != "info" for one in fired) else QUIET


def lines(fired: Iterable[Alert], store: Store) -> list[str]:
    """Return a line for each alert, and below the first of each rule what to do."""
    from llmtop.text.alerts import alert_lines

    arrival = {run.id for run in store.runs if run.tags.get("times") == "arrival"}
    out: list[str] = []
    told: set[str] = set()
    for one in fired:
        out += alert_lines(one, timed=one.run not in arrival, hinted=one.rule not in told)
        told.add(one.rule)
    return out


def say_untimed(store: Store) -> None:
    """Say of which logs it is not known when things happened, and what follows."""
    for run in store.runs:
        if run.tags.get("times") == "arrival":
            say(f"{run.name} has no times: rules with `for` or a window of time are not judged")


def _finished(words: list[str]) -> bool:
    """Tell whether these are files, which are lived through instead of looked at as they end."""
    return bool(words) and all(word != "-" and "://" not in word for word in words)


def _live_through(
    options: argparse.Namespace, delivery: Delivery | None
) -> tuple[list[Alert], Store]:
    from llmtop.cli.watch import open_named
    from llmtop.rules.replay import replay
    from llmtop.store import Store

    store = Store(memory_bytes=options.memory_bytes)
    fired = replay(store, build_alerts(options, remember=False), open_named(options))
    say_untimed(store)
    if delivery is not None:
        to_terminal(delivery.tell(fired, late=True))
    return fired, store


def _watch(
    options: argparse.Namespace, seconds: float, delivery: Delivery | None
) -> tuple[list[Alert], Store]:
    """Pump for a time, at least until the sources are read to their present end."""
    import time

    from llmtop.cli.watch import build_engine, open_named

    options.sources = open_named(options) if options.source else None
    engine = build_engine(options)
    clock = engine.clock
    found: dict[tuple[str, float], Alert] = {}
    engine.start()
    try:
        caught_up = engine.wait_caught_up(options.wait)
        stop = clock.monotonic() + seconds
        if delivery is not None:
            known = (*reversed(engine.alerts.history), *engine.alerts.active)
            to_terminal(delivery.tell(known, late=True))
        while (left := stop - clock.monotonic()) > 0:
            changes = engine.pump(clock.time())
            if delivery is not None:
                to_terminal(delivery.tell(changes.alerts))
            if all(state.state == "ended" for state in engine.source_states):
                break
            time.sleep(min(left, LOOK_SECONDS))
    finally:
        engine.stop()
    for alert in (*reversed(engine.alerts.history), *engine.alerts.active):
        found[alert.key, alert.since] = alert
    for source in engine.source_states:
        if source.reason:
            say(f"{source.name}: {source.reason}")
    if not caught_up:
        say("not everything was read; --wait gives it longer")
    return sorted(found.values(), key=lambda one: one.since), engine.store
