"""`llmtop demo`: a small model really trained and really sampled here, and the screen on it."""

from __future__ import annotations

import argparse
import sys


def run_demo(options: argparse.Namespace) -> int:
    """Start trainer and server, show them, and end them with the screen."""
    from llmtop.cli.snapshot import run_snapshot
    from llmtop.cli.watch import run_watch
    from llmtop.demo.launch import Demo

    options.source = ["demo"]
    snapshot = options.once or options.json or not sys.stdout.isatty()
    with Demo():
        return run_snapshot(options) if snapshot else run_watch(options)
