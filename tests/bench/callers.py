"""`python -m tests.bench.callers NAME`: prints the nanoseconds of one call of one logger."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable

from tests.bench.children import tell

ROUNDS = 9

Setup = Callable[[], tuple[Callable[[int], object], int]]
"""Returns a function that makes one call, and how many calls a round takes."""


def empty() -> tuple[Callable[[int], object], int]:
    def call(i: int) -> None:
        return None

    return call, 50_000


def deque_append() -> tuple[Callable[[int], object], int]:
    append = deque[tuple[float, int, dict[str, float]]](maxlen=100_000).append
    now = time.time
    return lambda i: append((now(), i, {"loss": 0.5})), 50_000


def llmtop_log() -> tuple[Callable[[int], object], int]:
    import llmtop

    log = llmtop.init("bench").log
    return lambda i: log({"loss": 0.5}, step=i), 20_000


def llmtop_observe() -> tuple[Callable[[int], object], int]:
    import llmtop

    observe = llmtop.init("bench").distribution("ttft_seconds").observe
    return lambda i: observe(0.5), 20_000


def llmtop_token() -> tuple[Callable[[int], object], int]:
    import llmtop

    token = llmtop.init("bench", phase="serve").request().token
    return lambda i: token(), 20_000


def prometheus_gauge() -> tuple[Callable[[int], object], int]:
    from prometheus_client import Gauge

    put = Gauge("loss", "loss").set
    return lambda i: put(0.5), 20_000


def prometheus_histogram() -> tuple[Callable[[int], object], int]:
    from prometheus_client import Histogram

    observe = Histogram("ttft_seconds", "ttft").observe
    return lambda i: observe(0.5), 20_000


def tensorboard() -> tuple[Callable[[int], object], int]:
    from tensorboardX import SummaryWriter

    add = SummaryWriter(tempfile.mkdtemp()).add_scalar
    return lambda i: add("loss", 0.5, i), 2_000


def trackio_log() -> tuple[Callable[[int], object], int]:
    import trackio

    trackio.init(project="bench")
    return lambda i: trackio.log({"loss": 0.5}, step=i), 2_000


def wandb_offline() -> tuple[Callable[[int], object], int]:
    import wandb

    log = wandb.init(project="bench", mode="offline").log
    return lambda i: log({"loss": 0.5}, step=i), 500


CALLERS: dict[str, tuple[str, Setup]] = {
    "empty": ("an empty call", empty),
    "deque": ("deque.append of (time, step, dict)", deque_append),
    "log": ("llmtop: run.log({key: value}, step)", llmtop_log),
    "observe": ("llmtop: handle.observe(value)", llmtop_observe),
    "token": ("llmtop: request.token()", llmtop_token),
    "gauge": ("prometheus_client: Gauge.set", prometheus_gauge),
    "histogram": ("prometheus_client: Histogram.observe", prometheus_histogram),
    "trackio": ("trackio: log", trackio_log),
    "tensorboard": ("TensorBoard (tensorboardX): add_scalar", tensorboard),
    "wandb": ("wandb offline: run.log", wandb_offline),
}


def main(name: str) -> None:
    try:
        call, calls = CALLERS[name][1]()
    except ImportError:
        tell("missing")
        return
    best = float("inf")
    place = 0
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for i in range(place, place + calls):
            call(i)
        best = min(best, (time.perf_counter_ns() - began) / calls)
        place += calls
        time.sleep(0.1)
    tell(best)


if __name__ == "__main__":
    main(sys.argv[1])
