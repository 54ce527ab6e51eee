"""One real server, requests at once: what it publishes, its page and its clients' watches agree."""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable

import numpy as np
import pytest

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.sources.hub import Hub
from llmtop.sources.scraping.settings import Settings
from llmtop.sources.scraping.source import Scrape
from llmtop.store import Run, Series, Store

pytest.importorskip("prometheus_client", reason="see [test]")

SERVER = """
import random, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from prometheus_client import Counter, Gauge, Histogram, generate_latest
import llmtop

BOUNDS = (.002, .004, .006, .008, .01, .015, .02, .03, .05, .1, .2, .5, 1, 2, 5)
ttft = Histogram("vllm:time_to_first_token_seconds", ".", buckets=BOUNDS)
itl = Histogram("vllm:inter_token_latency_seconds", ".", buckets=BOUNDS)
e2e = Histogram("vllm:e2e_request_latency_seconds", ".", buckets=BOUNDS)
made = Counter("vllm:generation_tokens", ".")
prompts = Counter("vllm:prompt_tokens", ".")
done = Counter("vllm:request_success", ".", ["finished_reason"])
going = Gauge("vllm:num_requests_running", ".")
slots = threading.Semaphore(4)
run = llmtop.init("seen-twice", phase="serve")

def generate(out):
    # The times of the two are taken side by side.
    began = time.perf_counter()
    with run.request(prompt_tokens=12) as request, slots:
        going.inc()
        prompts.inc(12)
        for k in range(8):
            time.sleep(random.uniform(.001, .006))
            now = time.perf_counter()
            request.token()
            made.inc()
            (itl if k else ttft).observe(now - (last if k else began))
            last = now
            out.write(b"x")
        going.dec()
        done.labels("stop").inc()
        e2e.observe(time.perf_counter() - began)

class Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # A token is sent when it is there.
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/metrics":
            self.wfile.write(generate_latest())
        else:
            generate(self.wfile)
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.request_queue_size = 64
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
run.finish()
"""
CLIENTS, EACH = 8, 15
PATIENCE = 40.0
CLOSE = 0.003
"""Seconds by which the two may take a time apart: a thread may be sent away between them."""
TOKENS = 8
AWAY = 0.03
"""Seconds that a busy machine may add for a client: a connection, a thread of the server's."""


def load(address: str) -> dict[str, list[float]]:
    """Return the latencies that the clients saw, by the metric they are."""
    seen: dict[str, list[float]] = {"ttft_seconds": [], "itl_seconds": [], "e2e_seconds": []}

    def ask() -> None:
        began = time.perf_counter()
        with urllib.request.urlopen(f"{address}/generate", timeout=PATIENCE) as answer:
            at = [began]
            while answer.read(1):
                at.append(time.perf_counter())
        assert len(at) == TOKENS + 1
        seen["ttft_seconds"].append(at[1] - began)
        seen["itl_seconds"] += np.diff(at[1:]).tolist()
        seen["e2e_seconds"].append(at[-1] - began)

    def client() -> None:
        for _ in range(EACH):
            ask()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return seen


def of(run: Run, name: str) -> Series:
    (found,) = [one for one in run.find(name) if one.n]
    return found


@pytest.mark.usefixtures("rendezvous")
def test_what_is_published_scraped_and_seen_by_clients_agrees(
    publisher: Callable[..., subprocess.Popen[str]],
) -> None:
    process = publisher(SERVER)
    assert process.stdout is not None
    address = f"http://127.0.0.1:{int(process.stdout.readline())}"
    clock = SystemClock()
    scrape = Scrape([address], clock=clock, settings=Settings(interval=0.2))
    engine = Engine(Store(memory_bytes=64 << 20), [Hub(clock=clock), scrape], clock)
    engine.start()

    def until(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline
            engine.pump(clock.time())
            time.sleep(0.01)

    try:
        until(lambda: {run.source for run in engine.store.runs} == {"local", "scrape"}
              and scrape.endpoints[0].looks > 1)
        seen_outside = load(address)
        total = CLIENTS * EACH
        told, seen = sorted(engine.store.runs, key=lambda run: run.source)
        until(lambda: all(
            any(one.sum == total * TOKENS for one in run.find("generated_tokens"))
            and any(one.n == total for one in run.find("e2e_seconds")) for run in (told, seen)
        ))  # fmt: skip
    finally:
        engine.stop()
    for name in ("generated_tokens", "prompt_tokens", "requests"):
        assert of(told, name).sum == pytest.approx(of(seen, name).sum)
    for name in ("ttft_seconds", "itl_seconds", "e2e_seconds"):
        exact = of(told, name).quantiles([0.5, 0.9, 0.99])
        estimate = of(seen, name).quantiles([0.5, 0.9, 0.99])
        assert exact.n == estimate.n
        assert exact.exact
        assert estimate.method == "histogram"
        assert estimate.mean == pytest.approx(exact.mean, abs=CLOSE)
        assert estimate.low is not None
        assert estimate.high is not None
        # Of neighbours around the rank only one need lie in the bucket: a bucket further at most.
        assert (exact.values >= estimate.low / 1.6 - CLOSE).all(), name
        assert (exact.values <= estimate.high * 1.6 + CLOSE).all(), name
        assert np.isfinite(estimate.values).all()
        outside = np.array(seen_outside[name])
        assert len(outside) == exact.n
        late = AWAY / 3 if name == "itl_seconds" else AWAY
        assert exact.mean - CLOSE <= outside.mean() <= exact.mean + late, name
        middle, high = np.quantile(outside, [0.5, 0.9])
        assert exact.values[0] - CLOSE <= middle <= exact.values[0] + late, name
        assert exact.values[1] - CLOSE <= high <= exact.values[1] + 2 * AWAY, name
