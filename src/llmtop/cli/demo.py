"""`llmtop demo`: a small model really trained and really sampled here, and the screen on it."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING

from llmtop.cli.say import say

if TYPE_CHECKING:
    from llmtop.store import Store

FIRST = {"loss": 32, "requests": 1}
"""Points a snapshot waits for: a loss that has begun to fall, and somebody served."""


def run_demo(options: argparse.Namespace) -> int:
    """Start trainer and server, show them, and end them with the screen."""
    from llmtop.cli.snapshot import run_snapshot
    from llmtop.cli.watch import run_watch
    from llmtop.demo.launch import Demo

    options.source = ["demo"]
    with Demo() as demo:
        if options.once or options.json:
            code = run_snapshot(options, lambda store: under_way(store, demo.pids))
        else:
            code = run_watch(options)
        for complaint in demo.complaints():
            say(complaint, who="llmtop demo")
    return code


def under_way(store: Store, pids: Collection[int]) -> bool:
    """Tell whether the processes of the demo have numbers to show."""
    series = [one for run in store.runs if run.pid in pids for one in run.series]
    return all(any(one.name == name and one.n >= n for one in series) for name, n in FIRST.items())
