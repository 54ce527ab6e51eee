"""Serves the newest checkpoint: `python -m llmtop.demo.serve DIRECTORY`. All it tells is measured.

Requests run in one batch that others join and leave between two tokens; there is no cache, each
token is computed from the whole window.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np

import llmtop
from llmtop.demo import checkpoint, corpus, leash
from llmtop.demo.clients import Clients, Request
from llmtop.demo.model import Array, Model, Shape

SLOTS = 3
"""Requests that run at once; the others wait."""
TEMPERATURE = 0.8
SERVE_SECONDS = 900.0
"""A quarter of an hour: a little longer than the training."""
REPORT_SECONDS = 0.25
"""Between two looks at the queue, and at the directory of checkpoints."""
QUOTED = 60
"""Characters of an answer that are shown as an event."""


class Server:
    """Requests that wait and run, and what is measured of them."""

    def __init__(self, run: llmtop.Run, random: np.random.Generator) -> None:
        self.model: Model | None = None
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self._random = random
        self._requests_running = run.gauge("requests_running")
        self._requests_waiting = run.gauge("requests_waiting")
        self._requests = run.counter("requests")
        self._generated = run.counter("generated_tokens")
        self._queued = run.distribution("queue_seconds")
        self._first = run.distribution("ttft_seconds")
        self._between = run.distribution("itl_seconds")
        self._whole = run.distribution("e2e_seconds")

    def report(self) -> None:
        """Tell how long the queue is."""
        self._requests_running.set(len(self.running))
        self._requests_waiting.set(len(self.waiting))

    def admit(self, now: float) -> None:
        """Let waiting requests run where there is room."""
        while self.waiting and len(self.running) < SLOTS:
            request = self.waiting.popleft()
            self._queued.observe(now - request.arrived)
            self.running.append(request)

    def step(self) -> list[Request]:
        """Write one token for each running request; return those that are done."""
        assert self.model is not None
        logits = self.model.next_logits(np.array([one.window for one in self.running]))
        tokens = sample(logits, self._random)
        now = time.perf_counter()
        self._generated.add(len(tokens))
        for request, token in zip(self.running, tokens.tolist(), strict=True):
            if request.written:
                self._between.observe(now - request.latest)
            else:
                self._first.observe(now - request.arrived)
            request.window = np.append(request.window[1:], token)
            request.written.append(token)
            request.latest = now
        done = [one for one in self.running if len(one.written) >= one.wanted]
        self.running = [one for one in self.running if len(one.written) < one.wanted]
        for request in done:
            self._whole.observe(now - request.arrived)
            self._requests.add()
        return done


def sample(logits: Array, random: np.random.Generator) -> Array:
    """Return a token for each row of logits (B, V), drawn at TEMPERATURE."""
    tokens: Array = (logits / TEMPERATURE + random.gumbel(size=logits.shape)).argmax(-1)
    return tokens


def serve(directory: Path, seconds: float = SERVE_SECONDS) -> None:
    """Serve for so long or until the parent ends; the first checkpoint is waited for."""
    random = np.random.default_rng(1)
    shape = Shape()
    _, held_out = corpus.split(corpus.encode(corpus.read_text()))
    with llmtop.init("tiny-gpt-serve", phase="serve") as run:
        server = Server(run, random)
        began = reported = time.perf_counter()
        clients = Clients(held_out, shape.context, random, began)
        loaded, quoted = None, None
        while True:
            now = time.perf_counter()
            if now - began > seconds:
                break
            if now - reported >= REPORT_SECONDS or loaded is None:
                reported = now
                newest = checkpoint.newest(directory)
                if newest is not None and newest != loaded:
                    loaded = newest
                    server.model = Model(shape, checkpoint.load(newest))
                server.report()
            server.waiting += clients.due(now)
            if server.model is None or not (server.waiting or server.running):
                if leash.gone(min(REPORT_SECONDS, max(0.0, clients.next_arrival() - now))):
                    break
                continue
            server.admit(now)
            for request in server.step():
                clients.answered(request.latest)
                if loaded is not None and loaded != quoted:
                    quoted = loaded
                    answer = " ".join(corpus.decode(np.array(request.written)).split())
                    run.event(f"checkpoint {checkpoint.step_of(loaded)}: {answer[:QUOTED]}")
            if leash.gone():
                break


def main(directory: Path) -> None:
    """Serve, and take the directory away if the parent cannot do it any more."""
    try:
        serve(directory)
    finally:
        if leash.gone():
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
