"""`llmtop`: the screen. The only command that imports Textual."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmtop.engine import Engine
    from llmtop.sources import Source

FPS_LOCAL = 4.0
FPS_SSH = 2.0


def build_engine(options: argparse.Namespace) -> Engine:
    """Return the engine over the sources that the command line names."""
    from llmtop.cli.local import local_sources
    from llmtop.cli.rules import build_alerts
    from llmtop.clock import SystemClock
    from llmtop.engine import Engine
    from llmtop.store import Store

    clock = SystemClock()
    named: list[Source] = list(getattr(options, "sources", None) or ())
    # A command may publish besides what it prints.
    own = not named or getattr(options, "command", None)
    sources = [*named, *(local_sources(options, clock) if own else ())]
    # Only a screen tells alerts of its own accord, so only it has to remember what it told.
    remember = getattr(options, "screen", False)
    alerts = build_alerts(options, remember=remember)
    if remember and options.remember:
        from llmtop.cli.kept import remembering

        return remembering(options, sources, clock, alerts)
    return Engine(Store(memory_bytes=options.memory_bytes), sources, clock, alerts)


def open_named(options: argparse.Namespace) -> list[Source]:
    """Return the sources that the command line names.

    Raises:
        UsageError: one of them cannot be opened, or no format has the name asked for.
    """
    from llmtop.cli.servers import server_settings
    from llmtop.clock import SystemClock
    from llmtop.formats.table import load_table
    from llmtop.sources import open_sources

    table = load_table(options.format)
    settings = server_settings(options)
    return open_sources(options.source, SystemClock(), table, options.poll, settings)


def run_watch(options: argparse.Namespace) -> int:
    """Show the screen until it is left; return the exit code."""
    from llmtop.cli.deliver import build_delivery
    from llmtop.cli.servers import limits
    from llmtop.clock import SystemClock
    from llmtop.ui.app import LlmtopApp
    from llmtop.ui.terminal.crash import run_app

    over_ssh = bool(os.environ.get("SSH_CONNECTION"))
    if over_ssh:
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    options.screen = True
    fps = options.fps or (FPS_SSH if over_ssh else FPS_LOCAL)
    slos = limits(options)
    options.close = None
    try:
        return run_app(lambda: LlmtopApp(
            lambda: build_engine(options), fps=fps, theme=options.theme, slos=slos,
            deliver=lambda: build_delivery(options, SystemClock()),
        ))  # fmt: skip
    finally:
        if options.close is not None:
            options.close()
