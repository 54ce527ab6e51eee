"""What a server counts by buckets of its own is the same behind a relay, early and late."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from llmtop.samples import Batch, Bucketed, RunInfo, SeriesInfo

BOUNDS = np.array([0.1, 0.2, 0.5, 1.0, np.inf])


class Server:
    """A source of one latency, which is counted on demand."""

    name = "server"

    def __init__(self) -> None:
        self.looks: list[list[int]] = []
        self.more = threading.Event()

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        info = RunInfo("http://server/metrics", "server", phase="serve", started=1000.0)
        latency = SeriesInfo(3, info.key, "ttft_seconds", "distribution", bucketed=True)
        yield Batch(runs=(info,), series=(latency,), caught_up=True)
        done = 0
        while not stop.is_set():
            while done < len(self.looks):
                counts = np.array(self.looks[done])
                part = Bucketed(3, 1000.0 + done, 1001.0 + done, BOUNDS, counts, 0.3 * counts.sum())
                yield Batch(bucketed=(part,), alive=(info.key,))
                done += 1
            self.more.wait(0.02)


def test_counts_come_through(serve, view, address: str) -> None:
    server = Server()
    rng = np.random.default_rng(3)
    looks = rng.integers(0, 50, (40, len(BOUNDS))).tolist()
    serving = serve(address, server)
    early = view(address)
    early.until(lambda: early.run("server"))
    server.looks += looks[:20]
    early.until(lambda: early.has("server", "ttft_seconds", int(np.sum(looks[:20]))))
    late = view(address)
    late.until(lambda: late.has("server", "ttft_seconds", int(np.sum(looks[:20]))))
    server.looks += looks[20:]
    there = serving.store.series
    for one in (early, late):
        one.until(lambda one=one: one.has("server", "ttft_seconds", int(np.sum(looks))))
        here = one.series("server", "ttft_seconds")
        (same,) = [series for series in there if series.name == here.name]
        assert (here.n, here.kind) == (same.n, "distribution")
        assert here.sum == same.sum
        assert here.quantiles((0.5, 0.99)).values.tolist() == \
            same.quantiles((0.5, 0.99)).values.tolist()  # fmt: skip
        assert here.window(99).value.tolist() == same.window(99).value.tolist()
        assert one.store.dropped == 0
