"""Alerts, sinks and a web server for tests of delivery."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llmtop.clock import SystemClock
from llmtop.delivery.delivery import Delivery
from llmtop.delivery.settings import SinkSettings
from llmtop.rules.alert import Alert

PATIENCE = 40.0
"""Seconds within which anything should happen; only a failing test waits so long."""


def alert(rule: str = "loss_nonfinite", severity: str = "critical", **more: Any) -> Alert:
    facts: dict[str, Any] = {
        "key": rule, "rule": rule, "severity": severity, "state": "firing", "run": 0,
        "run_name": "gpt-small", "since": 1e9, "fired_at": 1e9, "message": f"{rule} on gpt-small",
        "hint": "look at the last batch", "value": float("nan"), "step": 1200, **more,
    }  # fmt: skip
    return Alert(**facts)


def deliver(*sinks: SinkSettings, **environ: str) -> Delivery:
    return Delivery(sinks, SystemClock(), environ)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Server:
    """Answers POSTs with a list of (status, headers), then 200; a status of 0 is no answer."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.posts: list[tuple[dict[str, str], Any]] = []
        self.times: list[float] = []
        self.hang = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((dict(self.headers), json.loads(body)))
                outer.times.append(time.monotonic())
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                if not status:
                    outer.hang.wait(PATIENCE)
                    return
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?secret=1"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def socket(self) -> Any:
        return self._server.socket

    @socket.setter
    def socket(self, value: Any) -> None:
        self._server.socket = value

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
