"""Calls at about 1 kHz, as a training loop makes them, whatever the monitor does.

`python -m tests.bench.paced CALL` is the process that is measured: it says "ready" once it has
run for a while, waits for a line, and prints p50, p99 and the longest call in microseconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.bench.callers import CALLERS
from tests.bench.children import end, rendezvous, start
from tests.bench.table import Row, below

CALLS = 4000
WARM_CALLS = 2000
PERIOD = 0.001
STATES = ("no monitor", "a monitor attached", "the monitor stopped", "the monitor killed")


def paced() -> Iterator[Row]:
    """Yield how long paced calls take, with the empty call as the machine's own noise."""
    yield _row("an empty call, paced", _measure("empty", STATES[0]), None)
    for state in STATES:
        yield _row(f"llmtop: run.log, paced, {state}", _measure("log", state), 30.0)


def _row(what: str, said: str, limit: float | None) -> Row:
    p50, p99, longest = map(float, said.split())
    shown = f"p50 {p50:.1f}  p99 {p99:.1f}  max {longest:.0f} µs"
    return Row(what, shown) if limit is None else below(what, p99, limit, "µs p99")._replace(
        measured=shown)


def _measure(call: str, state: str) -> str:
    with rendezvous() as env:
        monitor = None if state == STATES[0] else start("monitor", env=env)
        caller = start("paced", call, env=env)
        try:
            assert caller.stdin is not None
            assert caller.stdout is not None
            while "ready" not in caller.stdout.readline():
                pass
            if monitor is not None:
                _disturb(monitor, state)
            caller.stdin.write("go\n")
            caller.stdin.flush()
            return caller.stdout.readline()
        finally:
            end(caller)
            if monitor is not None:
                end(monitor)


def _disturb(monitor: subprocess.Popen[str], state: str) -> None:
    if state == STATES[2]:
        os.kill(monitor.pid, signal.SIGSTOP)
    elif state == STATES[3]:
        monitor.kill()


def _run(call: Callable[[int], object], first: int, calls: int) -> list[int]:
    clock, took = time.perf_counter_ns, []
    for i in range(first, first + calls):
        time.sleep(PERIOD)
        began = clock()
        call(i)
        took.append(clock() - began)
    return sorted(took)


def main(name: str) -> None:
    call, _ = CALLERS[name][1]()
    _run(call, 0, WARM_CALLS)
    print("ready", flush=True)
    sys.stdin.readline()
    took = _run(call, WARM_CALLS, CALLS)
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    print(p50 / 1e3, p99 / 1e3, took[-1] / 1e3, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
