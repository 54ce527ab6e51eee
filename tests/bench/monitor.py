"""`python -m tests.bench.monitor`: a monitor without a screen, pumping as the screen does."""

from __future__ import annotations

import time

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.sources.hub import Hub
from llmtop.store import Store

TICK = 0.25


def engine() -> Engine:
    """Return an engine over a hub in the rendezvous directory."""
    clock = SystemClock()
    return Engine(Store(), [Hub(clock=clock)], clock)


if __name__ == "__main__":
    running = engine()
    running.start()
    while True:
        running.pump(time.time())
        time.sleep(TICK)
