"""Relays, viewers and publishers over real sockets, in one process."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.publish import current, process
from llmtop.relay.listener import Listener
from llmtop.relay.relay import Relay
from llmtop.sources import Source
from llmtop.sources.attach import Attach
from llmtop.store import Run, Series, Store

PATIENCE = 40.0
"""Seconds within which anything should happen; only a failing test waits so long."""
MEMORY = 64 << 20


@pytest.fixture(autouse=True)
def rendezvous(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    monkeypatch.setenv("LLMTOP_DIR", str(directory))
    monkeypatch.setenv("LLMTOP_KEYS", str(directory / "keys"))
    monkeypatch.delenv("LLMTOP_ENDPOINT", raising=False)
    yield directory
    drain = process._drain
    for stream in drain.streams if drain is not None else ():
        stream.session.inbox.close("finished")
        stream.end({"reason": "finished", "text": ""})
        stream._deadline = 0.0
        drain.wake()
        assert stream.ended.wait(PATIENCE)
    current._current = None
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def address() -> str:
    """Return an address on loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Serving:
    """A relay in a thread."""

    def __init__(
        self, address: str, *sources: Source, memory: int = MEMORY, **listening: Any
    ) -> None:
        clock = SystemClock()
        self.listener = Listener(address, clock=clock, **listening)
        self.relay = Relay([*sources], [self.listener], clock, memory_bytes=memory)
        self.store = self.relay.engine.store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.relay.run, args=(self._stop,))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Watching:
    """A viewer: an engine whose source is a relay, pumped by the test."""

    def __init__(self, *sources: Source) -> None:
        self.store = Store(memory_bytes=MEMORY)
        self.engine = Engine(self.store, sources, SystemClock())
        self.engine.start()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.story()
            self.engine._arrived.wait(0.02)
            self.engine._arrived.clear()
            self.engine.pump(time.time())

    def run(self, name: str) -> Run | None:
        found = [run for run in self.store.runs if run.name == name]
        return found[0] if found else None

    def series(self, run: str, name: str) -> Series | None:
        known = self.run(run)
        found = known.find(name) if known is not None else []
        return found[-1] if found else None

    def has(self, run: str, name: str, n: int) -> bool:
        series = self.series(run, name)
        return series is not None and series.n >= n

    def story(self) -> list[Any]:
        return [
            [(run.name, run.state, run.attempt, [(one.name, one.n) for one in run.series])
             for run in self.store.runs],
            self.engine.source_states, self.store.dropped,
        ]  # fmt: skip

    def stop(self) -> None:
        self.engine.stop()


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Return a function that starts a relay; all are stopped at the end."""
    running: list[Serving] = []

    def start(*arguments: Any, **options: Any) -> Serving:
        running.append(Serving(*arguments, **options))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def view() -> Iterator[Callable[..., Watching]]:
    """Return a function that attaches a viewer to an address."""
    running: list[Watching] = []

    def start(address: str) -> Watching:
        running.append(Watching(Attach(address, clock=SystemClock())))
        return running[-1]

    yield start
    for one in running:
        one.stop()
