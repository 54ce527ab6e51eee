"""A rendezvous directory of its own, scripts that publish into it, and an engine that listens."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.sources.hub import Hub
from llmtop.store import Run, Series, Store

PATIENCE = 40.0
"""Seconds within which anything should happen; only a failing test waits so long."""


class Listening:
    """An engine with one hub, pumped as long as a condition asks for."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.hub = Hub(clock=self.clock)
        self.engine = Engine(Store(), [self.hub], self.clock)
        self.store = self.engine.store
        self.engine.start()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = self.clock.monotonic() + PATIENCE
        while not condition():
            assert self.clock.monotonic() < deadline, self.story()
            self.engine._arrived.wait(0.05)
            self.engine._arrived.clear()
            self.engine.pump(self.clock.time())

    def run(self) -> Run:
        (run,) = self.store.runs
        return run

    def reaches(self, step: int) -> Run:
        """Pump until a run has come to `step`; return it."""
        self.until(lambda: any(run.step >= step for run in self.store.runs))
        return self.run()

    def all(self, name: str) -> list[Series]:
        """Return the series of a name, of all attempts."""
        return [series for series in self.run().series if series.name == name]

    def story(self) -> list[object]:
        return [
            (run.name, run.state, run.step, run.attempt, [(s.name, s.n) for s in run.series])
            for run in self.store.runs
        ] + [self.store.dropped, self.engine.source_states]


@pytest.fixture
def rendezvous(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # pytest's own directories can be too long for the path of a socket.
    directory = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    monkeypatch.setenv("LLMTOP_DIR", str(directory))
    monkeypatch.delenv("LLMTOP_OFF", raising=False)
    monkeypatch.delenv("LLMTOP_ENDPOINT", raising=False)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def listening(rendezvous: Path) -> Iterator[Listening]:
    listening = Listening()
    yield listening
    listening.engine.stop()


@pytest.fixture
def publisher(rendezvous: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a script in a process of its own, with pipes."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", source, *map(str, arguments)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
