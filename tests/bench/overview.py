"""What the screen costs while eight charts are live, and while nothing happens.

`python -m tests.bench.overview` is the run that is watched: eight metrics at 15 Hz, until its
standard input is closed; then it finishes.
"""

from __future__ import annotations

import math
import random
import re
import sys
import threading
import time
from collections.abc import Iterator

from tests.bench.children import cpu_seconds, rendezvous, resident_mb, start
from tests.bench.table import Row, below
from tests.bench.terminal import Bytes, environment

COLUMNS, ROWS, HERTZ = 200, 50, 4
LIVE_SECONDS, QUIET_SECONDS, SETTLE_SECONDS = 20.0, 10.0, 6.0
LOG_HERTZ = 15
LONG_RUN = 20_000
"""Steps logged before anybody looks, so that the charts are full."""


def overview() -> Iterator[Row]:
    """Yield CPU, bytes and memory of the Overview, live and at rest."""
    with rendezvous() as env:
        run = start("overview", env=env)
        command = [sys.executable, "-m", "llmtop", "--fps", str(HERTZ)]
        with Bytes(command, columns=COLUMNS, rows=ROWS, env=environment(env)) as program:
            program.pump_for(SETTLE_SECONDS)
            pid = program.process.pid
            before, began = cpu_seconds(pid), time.monotonic()
            sent = len(program.pump_for(LIVE_SECONDS))
            took = time.monotonic() - began
            busy = (cpu_seconds(pid) - before) / took
            size = f"{COLUMNS}x{ROWS}, {HERTZ} Hz, 8 charts, {LOG_HERTZ} steps a second"
            yield below(f"CPU, {size}", busy * 100, 4.0, "% of a core")
            yield below("  sent to the terminal", sent / took / 1e3, 20.0, "kB/s")
            yield below("  resident memory", resident_mb(pid), 90.0, "MB")
            assert run.stdin is not None
            run.stdin.close()
            run.wait()
            program.pump_for(SETTLE_SECONDS)
            before = cpu_seconds(pid)
            rest = program.pump_for(QUIET_SECONDS)
            idle = (cpu_seconds(pid) - before) / QUIET_SECONDS
            yield Row(f"the run is over: sent in {QUIET_SECONDS:.0f} s", f"{len(rest):,} bytes",
                      "0", not rest)
            if rest:
                yield Row("  which were", repr(_text(rest))[:70])
            yield Row("  CPU", f"{idle * 100:.1f} % of a core")


def _text(sent: bytes) -> str:
    return re.sub(rb"\x1b\[[<=>?0-9;]*[a-zA-Z]", b" ", sent).decode("utf-8", "replace")


def main() -> None:
    import llmtop

    run = llmtop.init("bench", total_steps=100_000, tokens_per_step=65_536)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    step = 0
    while not over.is_set():
        loss = 2 + 2 * math.exp(-step / 8000) + random.gauss(0, 0.05)
        run.log({
            "loss": loss, "accuracy": 1 - loss / 5, "tokens_per_second": random.gauss(4e5, 1e4),
            "grad_norm": random.lognormvariate(0, 0.3), "learning_rate": 3e-4 * (1 - step / 1e5),
            "mfu": random.gauss(0.45, 0.01), "step_time_seconds": random.gauss(0.16, 0.01),
            "memory_used_bytes": random.gauss(7.1e10, 1e8),
        }, step=step)
        step += 1
        if step > LONG_RUN:
            over.wait(1 / LOG_HERTZ)
    run.finish()


if __name__ == "__main__":
    main()
