"""What llmtop itself costs, measured so that the footer can say it."""

from __future__ import annotations

import time

from llmtop.ui.panels.footer import Cost

QUIET_PERCENT = 0.5
QUIET_RSS_BYTES = 2 << 20
QUIET_BYTES_PER_SECOND = 300.0
"""Smaller changes are not shown, so that the footer of a quiet screen stands still."""


class Meter:
    """Reads this process's CPU time, memory and output between two calls."""

    def __init__(self, bytes_written: int) -> None:
        """Measure from now on; `bytes_written` so far do not count."""
        import psutil

        self._process = psutil.Process()
        self._wall = time.monotonic()
        self._cpu = time.process_time()
        self._bytes = bytes_written

    def read(self, bytes_written: int, before: Cost | None) -> Cost:
        """Return the cost since the last call; `before` itself where it looks the same."""
        wall, cpu = time.monotonic(), time.process_time()
        seconds = max(wall - self._wall, 1e-3)
        percent = 100 * (cpu - self._cpu) / seconds
        rate = (bytes_written - self._bytes) / seconds
        self._wall, self._cpu, self._bytes = wall, cpu, bytes_written
        rss = self._process.memory_info().rss
        if (before is not None and abs(percent - before.cpu_percent) < QUIET_PERCENT
                and abs(rss - before.rss_bytes) < QUIET_RSS_BYTES
                and abs(rate - before.bytes_per_second) < QUIET_BYTES_PER_SECOND):
            return before
        return Cost(percent, rss, rate)
