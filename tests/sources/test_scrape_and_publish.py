"""One real server, real requests at once, seen by what it publishes and by its page: they agree."""

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
CLIENTS, EACH = 8, 25
PATIENCE = 40.0
CLOSE = 0.003
"""Seconds by which the two may take a time apart: a thread may be sent away between them."""


def load(address: str) -> None:
    def client() -> None:
        for _ in range(EACH):
            with urllib.request.urlopen(f"{address}/generate", timeout=PATIENCE) as answer:
                assert answer.read() == b"x" * 8

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


def of(run: Run, name: str) -> Series:
    (found,) = [one for one in run.find(name) if one.n]
    return found


@pytest.mark.usefixtures("rendezvous")
def test_what_is_published_and_what_is_scraped_agree(
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
        load(address)
        total = CLIENTS * EACH
        told, seen = sorted(engine.store.runs, key=lambda run: run.source)
        until(lambda: all(
            any(one.sum == total * 8 for one in run.find("generated_tokens"))
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
