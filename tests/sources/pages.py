"""Pages of metrics made for the tests, and servers that send them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llmtop.clock import ManualClock
from llmtop.sources.scraping.settings import Settings
from llmtop.sources.scraping.target import Look, Target, numbers
from llmtop.store import Run, Series, Store

T0 = 1_750_000_000.0
BOUNDS = ("0.1", "0.5", "1.0", "5.0", "+Inf")


def histogram(name: str, counts: Sequence[float], total: float, labels: str = "",
              bounds: Sequence[str] = BOUNDS) -> str:
    """Return the lines of a histogram from the observations in each of its buckets."""
    upto, lines = 0.0, [f"# TYPE {name} histogram"]
    for bound, count in zip(bounds, counts, strict=True):
        upto += count
        inside = f'{labels},le="{bound}"' if labels else f'le="{bound}"'
        lines.append(f"{name}_bucket{{{inside}}} {upto}")
    braces = f"{{{labels}}}" if labels else ""
    return "\n".join([*lines, f"{name}_sum{braces} {total}", f"{name}_count{braces} {upto}", ""])


def sample(name: str, value: float, labels: str = "", kind: str = "") -> str:
    """Return the lines of one sample."""
    head = f"# TYPE {name.removesuffix('_total')} {kind}\n" if kind else ""
    return f"{head}{name}{{{labels}}} {value}\n" if labels else f"{head}{name} {value}\n"


class Watch:
    """A store and what one server's pages put into it, a page every ten seconds."""

    def __init__(self, *, settings: Settings | None = None, seconds: float = 10.0) -> None:
        self.store = Store(memory_bytes=64 << 20)
        self.seconds, self.now, self._waited = seconds, T0, 0.0
        self.target = Target("http://box:8000", settings or Settings(interval=seconds), numbers(),
                             lambda model, place: model or place)

    def page(self, text: str, started: str = "", wait: float | None = None) -> None:
        """Take in a page, `wait` seconds after the one before."""
        if self.target.page is not None:
            self._waited = self.seconds if wait is None else wait
            self.now += self._waited
        batch = self.target.take(text, started, Look(self.now, self.now))
        self.store.apply(0, batch, self.now)
        self.store.commit(self.now)

    @property
    def run(self) -> Run:
        (run,) = self.store.runs
        return run

    def series(self, name: str) -> Series:
        (found,) = self.run.find(name)
        return found

    def last(self, name: str) -> float:
        """Return the newest value of a series."""
        point = self.series(name).last
        assert point is not None
        return point.value

    def grew(self, name: str) -> float:
        """Return what a counter grew by since the page before."""
        past = self.now - self._waited
        points = self.series(name).points("time", past + 1e-6, self.now)
        assert len(points.value), f"{name} has no increment"
        return float(points.value.sum())

    def rate(self, name: str) -> float:
        """Return increments a second since the page before."""
        return self.grew(name) / self._waited

    @property
    def events(self) -> list[str]:
        return [event.text for run in self.store.runs for event in run.events]


@dataclass
class Answers:
    """What a server answers, in sequence; the last answer is given again and again."""

    bodies: list[Any]
    """A page, a number (a status), or what returns one."""
    headers: dict[str, str] = field(default_factory=dict)
    zipped: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of each request."""
    given: int = 0

    def next(self) -> Any:
        body = self.bodies[min(self.given, len(self.bodies) - 1)]
        self.given += 1
        return body() if isinstance(body, Callable) else body  # type: ignore[arg-type]


@contextmanager
def serve(answers: Answers | Iterable[Any], *, tls: Any = None,
          paths: Sequence[str] = ("/metrics",)) -> Iterator[tuple[str, Answers]]:
    """Serve pages on a free port; yield the server's address and what it was asked."""
    known = answers if isinstance(answers, Answers) else Answers(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known.asked.append((self.path, dict(self.headers.items())))
            body = known.next() if self.path in paths else 404
            status, data = (body, b"") if isinstance(body, int) else (200, body)
            if isinstance(data, str):
                data = data.encode()
            if known.zipped and status == 200:
                data = gzip.compress(data)
            self.send_response(status)
            for name, value in known.headers.items():
                self.send_header(name, value)
            if known.zipped and status == 200:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}", known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def still() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock(T0)
