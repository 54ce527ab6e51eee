"""What watching servers costs: reading a page, a fleet once a second, the Serve screen.

`python -m tests.bench.scrape serve` is the fleet: any path below it ending in /metrics is a server
of 500 series, under load, until standard input is closed. `... watch ADDRESS SECONDS` watches it
without a screen and tells its own CPU time.
"""

from __future__ import annotations

import importlib.util
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.bench.children import answer, cpu_seconds, rendezvous, start, tell
from tests.bench.table import Row, below, missing
from tests.bench.terminal import Bytes, environment

SERVERS, SERIES = 100, 500
WATCH_SECONDS = 15.0
COLUMNS, ROWS, HERTZ = 160, 45, 4
SETTLE_SECONDS, LIVE_SECONDS = 8.0, 20.0
PAGE_BYTES = 5_000_000
PAGES = 64
"""Pages made in advance: a server that renders would be what is measured."""
LATENCIES = (
    "time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds",
    "request_time_per_output_token_seconds", "request_queue_time_seconds",
    "request_prefill_time_seconds", "request_decode_time_seconds",
)  # fmt: skip
BOUNDS = [round(0.001 * 1.25**k, 6) for k in range(62)]


def scrape() -> Iterator[Row]:
    """Yield the cost of reading pages, of a fleet, and of the Serve screen."""
    yield from _parsers()
    with rendezvous() as env:
        fleet = start("scrape", "serve", env=env)
        assert fleet.stdout is not None
        port = int(fleet.stdout.readline())
        address = f"http://127.0.0.1:{port}"
        try:
            said = answer("scrape", "watch", address, str(WATCH_SECONDS), env=env)
            share, looks = map(float, said.split())
            what = f"{SERVERS} servers of {SERIES} series once a second"
            yield below(f"CPU, {what}", share * 100, 25.0, "% of a core")
            yield Row("  looks a second", f"{looks:.1f}")
            busy, sent = serve_screen(env, f"{address}/0/metrics")
            size = f"Serve screen, {COLUMNS}x{ROWS}, {HERTZ} Hz"
            yield below(f"CPU, {size}", busy * 100, 5.0, "% of a core")
            yield below("  sent to the terminal", sent / 1e3, 25.0, "kB/s")
        finally:
            assert fleet.stdin is not None
            fleet.stdin.close()
            fleet.wait()


def serve_screen(env: dict[str, str], *words: str) -> tuple[float, float]:
    """Return the CPU time and the bytes a second of the Serve screen of `llmtop WORDS`."""
    command = [sys.executable, "-m", "llmtop", "--fps", str(HERTZ), "--slo", "chat", *words]
    with Bytes(command, columns=COLUMNS, rows=ROWS, env=environment(env)) as program:
        program.pump_for(2.0)
        program.send("3")
        program.pump_for(SETTLE_SECONDS)
        pid = program.process.pid
        before, began = cpu_seconds(pid), time.monotonic()
        sent = len(program.pump_for(LIVE_SECONDS))
        took = time.monotonic() - began
        return (cpu_seconds(pid) - before) / took, sent / took


def _parsers() -> Iterator[Row]:
    from llmtop.sources.scraping.exposition import Reader

    lines: list[str] = []
    size = shard = 0
    while size < PAGE_BYTES:
        for line in page(shard).splitlines():
            if not line.startswith("#"):
                lines.append(line.replace('engine="0"', f'engine="{shard}"'))
                size += len(lines[-1]) + 1
        shard += 1
    text = "\n".join(lines) + "\n"
    reader = Reader()
    for what in ("a page of 5 MB, the first time", "the same samples again"):
        began = time.process_time()
        reader.read(text)
        yield Row(what, f"{(time.process_time() - began) * 1e3:,.0f} ms")
    if importlib.util.find_spec("prometheus_client") is None:
        yield missing("prometheus_client")
        return
    from prometheus_client.parser import text_string_to_metric_families

    began = time.process_time()
    for family in text_string_to_metric_families(text):
        del family
    yield Row("prometheus_client, the same page", f"{(time.process_time() - began) * 1e3:,.0f} ms")


def page(turn: int) -> str:
    """Return a page of SERIES series after so many seconds of load."""
    noise = random.Random(turn)
    labels = 'model_name="org/Bench-7B",engine="0"'
    out = [
        f"vllm:num_requests_running{{{labels}}} {noise.randint(3, 9)}",
        f"vllm:num_requests_waiting{{{labels}}} {noise.randint(0, 3)}",
        f"vllm:kv_cache_usage_perc{{{labels}}} {noise.uniform(0.5, 0.7):.4f}",
    ]
    for name, each in (("prompt_tokens", 4000), ("generation_tokens", 1000), ("num_preemptions", 1),
                       ("prefix_cache_queries", 4000), ("prefix_cache_hits", 2500)):
        grown = each * turn + noise.randint(0, each // 4)
        out.append(f"vllm:{name}_total{{{labels}}} {grown}.0")
    for reason, each in (("stop", 20), ("length", 2), ("abort", 1), ("error", 0)):
        out.append(
            f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {each * turn}.0'
        )
    for place, name in enumerate(LATENCIES):
        upto = 0
        middle = 20 + 3 * place
        for at, bound in enumerate(BOUNDS):
            upto += turn * max(0, 6 - abs(at - middle))
            out.append(f'vllm:{name}_bucket{{{labels},le="{bound}"}} {upto}.0')
        out.append(f'vllm:{name}_bucket{{{labels},le="+Inf"}} {upto}.0')
        out.append(f"vllm:{name}_sum{{{labels}}} {upto * BOUNDS[middle]:.4f}")
        out.append(f"vllm:{name}_count{{{labels}}} {upto}.0")
    out += [f'vllm:other_{k}{{{labels}}} {noise.random():.4f}' for k in range(SERIES - len(out))]
    return "\n".join(out) + "\n"


def serve() -> None:
    """Serve the fleet until standard input is closed."""
    pages = [page(turn).encode() for turn in range(PAGES)]
    began = time.monotonic()

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = pages[int(time.monotonic() - began) % PAGES]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def setup(self) -> None:
            super().setup()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


def watch(address: str, seconds: float) -> None:
    """Watch the fleet for so long, then tell CPU time a second and looks a second."""
    from llmtop.clock import SystemClock
    from llmtop.engine import Engine
    from llmtop.sources.scraping.source import Scrape
    from llmtop.store import Store

    clock = SystemClock()
    source = Scrape([f"{address}/{k}/metrics" for k in range(SERVERS)], clock=clock)
    engine = Engine(Store(), [source], clock)
    engine.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(not one.looks for one in source.endpoints):
        engine.pump(clock.time())
        time.sleep(1 / HERTZ)
    looked, cpu, began = _looks(source), time.process_time(), time.monotonic()
    while time.monotonic() - began < seconds:
        engine.pump(clock.time())
        time.sleep(1 / HERTZ)
    took = time.monotonic() - began
    tell((time.process_time() - cpu) / took, (_looks(source) - looked) / took)
    engine.stop()


def _looks(source: object) -> int:
    return sum(one.looks for one in source.endpoints)  # type: ignore[attr-defined]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        watch(sys.argv[2], float(sys.argv[3]))
