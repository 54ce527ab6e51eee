"""The page over HTTP: both formats, and clients that are slow, hostile or many."""

from __future__ import annotations

import gzip
import http.client
import math
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from llmtop.clock import ManualClock, SystemClock
from llmtop.export import server as serving
from llmtop.export.pages import Pages
from llmtop.export.server import Server, Writer
from textstore import T0, filled, introduce, log

OPEN = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"


class Answering:
    """A server, and a thread that makes the pages it asks for."""

    def __init__(self) -> None:
        self.store = filled()
        introduce(self.store, "gpt")
        log(self.store, "gpt", "loss", [3.0])
        self.made = 0
        self.stop = threading.Event()
        self.pages = Pages((), ManualClock(T0))
        self.server = Server("127.0.0.1", 0, Writer(self.pages, SystemClock()))
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self._make)
        self._thread.start()

    def _make(self) -> None:
        while not self.stop.wait(0.002):
            if self.pages._asked:
                engine = SimpleNamespace(store=self.store, source_states=())
                self.pages.turn(engine, math.inf)  # type: ignore[arg-type]
                self.made += 1

    def get(self, path: str = "/metrics", method: str = "GET", **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.stop.wait(0.002)

    def connect(self, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        client.sendall(data)
        return client


@pytest.fixture
def answering() -> Iterator[Answering]:
    one = Answering()
    with one.server.answering():
        yield one
    one.stop.set()
    one._thread.join()


def test_formats_are_negotiated_and_zipped(answering) -> None:
    answer, plain = answering.get()
    assert answer.status == 200
    assert answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert b"llmtop_loss{" in plain
    answer, zipped = answering.get(Accept_Encoding="gzip", Accept=OPEN)
    assert answer.getheader("Content-Type").startswith("application/openmetrics-text")
    assert answer.getheader("Content-Encoding") == "gzip"
    assert gzip.decompress(zipped).endswith(b"# EOF\n")
    assert "Python" not in answer.getheader("Server")


def test_other_paths_and_methods(answering) -> None:
    answer, body = answering.get("/")
    assert (answer.status, b"/metrics" in body) == (200, True)
    assert answering.get("/etc/passwd")[0].status == 404
    answer, body = answering.get(method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.getheader("Content-Length")) > 100
    assert answering.get(method="POST")[0].status == 501
    assert answering.get("/metrics?name=x")[0].status == 200


def test_asking_all_the_time_does_not_make_a_page_each_time(answering) -> None:
    threads = [threading.Thread(target=lambda: [answering.get() for _ in range(10)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answering.made <= 3


def test_a_request_that_drips_or_never_ends_is_cut_off(answering, monkeypatch) -> None:
    monkeypatch.setattr(serving, "READ_SECONDS", 0.2)
    dripping, silent = answering.connect(b"GET /metrics HTTP/1.1\r\n"), answering.connect()
    endless = answering.connect(b"GET /" + b"x" * 40_000)
    headers = answering.connect(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            try:
                dripping.sendall(b"A: b\r\n")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    assert answering.get()[0].status == 200
    for client in (dripping, silent, endless, headers):
        try:
            while client.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        client.close()
    stop.set()
    thread.join()
    assert answering.get()[0].status == 200


def test_one_address_has_so_many_connections_and_no_more(answering, monkeypatch) -> None:
    monkeypatch.setattr(serving, "MAX_CLIENTS_A_HOST", 3)
    clients = [answering.connect() for _ in range(3)]
    answering.until(lambda: len(answering.server._clients) == 3)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        answering.get()
    for client in clients:
        client.close()
    answering.until(lambda: not answering.server._clients)
    assert answering.get()[0].status == 200


def test_garbage_is_a_bad_request(answering) -> None:
    for data in (b"\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n", b"\r\n\r\n", b"GET\r\n\r\n",
                 b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n"):
        client = answering.connect(data)
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(1 << 16)
        assert b"Traceback" not in answer
        client.close()
    assert answering.get()[0].status == 200


def test_a_page_that_cannot_be_made_is_said_and_the_next_one_is_made(answering) -> None:
    tags = answering.store.runs[0].tags
    answering.store.runs[0].tags = None
    answer, body = answering.get()
    assert (answer.status, b"AttributeError" in body) == (500, True)
    answering.store.runs[0].tags = tags
    assert answering.get()[0].status == 200


def test_no_page_is_said_and_no_one_waits_at_the_end(monkeypatch) -> None:
    monkeypatch.setattr(serving, "PAGE_SECONDS", 0.1)
    one = Answering()
    one.stop.set()
    one._thread.join()
    with one.server.answering():
        assert one.get()[0].status == 503
