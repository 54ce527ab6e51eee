"""What 50 000 observations a second of one process cost the monitor, and whether all arrive.

`python -m tests.bench.observe` is the server that observes, through the SDK, until its standard
input is closed; then it tells how many there were, and how many could not be queued. `... watch
SECONDS` is a monitor without a screen over it.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator

from tests.bench.children import answer, cpu_seconds, end, rendezvous, start, tell
from tests.bench.monitor import TICK, engine
from tests.bench.scrape import COLUMNS, HERTZ, ROWS, serve_screen
from tests.bench.table import Row, below

A_SECOND = 50_000
NAMES = ("ttft_seconds", "itl_seconds", "e2e_seconds", "tpot_seconds")
BURST_SECONDS = 0.01
WARM_SECONDS, SECONDS = 8.0, 20.0
ARRIVE_SECONDS = 20.0
DRAWN = 1 << 16
"""Values made in advance: a server that draws random numbers would be what is measured."""


def observe() -> Iterator[Row]:
    """Yield the cost of the monitor and of the server's own thread, and what was lost."""
    with rendezvous() as env:
        said = answer("observe", "watch", str(SECONDS), env=env)
        server = start("observe", env=env)
        try:
            busy, sent = serve_screen(env, "--no-discover")
        finally:
            end(server)
    monitor, server_share, rate, made, came, lost = map(float, said.split())
    what = f"{rate:,.0f} observations/s of one process"
    yield below(f"CPU of the monitor, {what}", monitor * 100, 15.0, "% of a core")
    yield Row("  CPU of the process that observes", f"{server_share * 100:.1f} % of a core")
    yield Row(f"  of {made:,.0f} observed: lost", f"{made - came:,.0f}, told {lost:,.0f}", "0",
              made == came and not lost)
    yield below(f"  the Serve screen of it, {COLUMNS}x{ROWS}, {HERTZ} Hz", busy * 100, 15.0,
                "% of a core")
    yield below("    sent to the terminal", sent / 1e3, 25.0, "kB/s")


def watch(seconds: float) -> None:
    """Watch the server for so long, then until all is there."""
    import os

    running = engine()
    running.start()
    server = start("observe", env=dict(os.environ))
    store = running.store

    def pump_for(seconds: float) -> None:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            running.pump(time.time())
            time.sleep(TICK)

    def came() -> int:
        return sum(one.n for one in store.series if not one.derived)

    pump_for(WARM_SECONDS)
    before, theirs = came(), cpu_seconds(server.pid)
    cpu, began = time.process_time(), time.monotonic()
    pump_for(seconds)
    took = time.monotonic() - began
    share, rate = (time.process_time() - cpu) / took, (came() - before) / took
    their_share = (cpu_seconds(server.pid) - theirs) / took
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.close()
    made, unqueued = map(int, server.stdout.readline().split())
    deadline = time.monotonic() + ARRIVE_SECONDS
    while came() < made and time.monotonic() < deadline:
        pump_for(TICK)
    tell(share, their_share, rate, made, came(), store.dropped + unqueued)
    running.stop()
    server.wait()


def main() -> None:
    """Observe A_SECOND times a second, in bursts."""
    import llmtop

    run = llmtop.init("server", phase="serve")
    calls = [run.distribution(name).observe for name in NAMES]
    noise = random.Random(7)
    values = [noise.lognormvariate(-4.0, 0.7) for _ in range(DRAWN)]
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    began, made = time.monotonic(), 0
    while not over.wait(BURST_SECONDS):
        due = int((time.monotonic() - began) * A_SECOND)
        for k in range(made, due):
            calls[k & 3](values[k % DRAWN])
        made = due
    print(made, run._inbox.dropped, flush=True)
    time.sleep(ARRIVE_SECONDS / 4)
    run.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        watch(float(sys.argv[2]))
    else:
        main()
