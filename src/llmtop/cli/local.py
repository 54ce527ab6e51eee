"""What is watched on this machine without being asked for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmtop.clock import Clock
    from llmtop.sources import Source


def local_sources(options: argparse.Namespace, clock: Clock) -> list[Source]:
    """Return the sources of this machine: runs, hardware, and inference servers nearby."""
    from llmtop.cli.servers import discovers, server_settings
    from llmtop.sources import open_source
    from llmtop.sources.hardware import Hardware

    local: list[Source] = [open_source("", clock), Hardware(clock)]
    if discovers(options):
        from llmtop.sources.scraping.nearby import Nearby

        local.append(Nearby(clock=clock, settings=server_settings(options)))
    return local
