"""`llmtop --once` and `llmtop --json`: what is known now, without a screen."""

from __future__ import annotations

import argparse
import shutil
import sys

from llmtop.cli.watch import build_engine


def run_snapshot(options: argparse.Namespace) -> int:
    """Read the sources to their present end, print, and return 0."""
    from llmtop.text import render_json, render_text

    engine = build_engine(options)
    engine.start()
    try:
        engine.wait_caught_up(options.wait)
        if options.json:
            text = render_json(engine.store)
        else:
            width = shutil.get_terminal_size((120, 40)).columns
            text = render_text(engine.store, engine.clock.time(), width)
    finally:
        engine.stop()
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    return 0
