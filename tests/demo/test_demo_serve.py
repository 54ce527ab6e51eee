"""Serving: checkpoints come and go, clients queue, and what is told is what happened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmtop.demo import checkpoint, corpus
from llmtop.demo.clients import ANSWER_TOKENS, FEWEST, MOST, Clients
from llmtop.demo.model import Model, Shape, initial
from llmtop.demo.serve import SLOTS, Server, sample

TEXT = corpus.encode("the quick brown fox jumps over the lazy dog. " * 20)


class Recorder:
    """A run that remembers what a server measured."""

    def __init__(self) -> None:
        self.told: dict[str, list[float]] = {}

    def _handle(self, name: str) -> Recorder.Handle:
        return Recorder.Handle(self.told.setdefault(name, []))

    counter = distribution = gauge = _handle

    class Handle:
        def __init__(self, values: list[float]) -> None:
            self.values = values

        def add(self, n: float = 1) -> None:
            self.values.append(n)

        observe = set = add


@pytest.fixture
def run() -> Recorder:
    return Recorder()


def server_of(run: Recorder) -> Server:
    server = Server(run, np.random.default_rng(0))  # type: ignore[arg-type]
    shape = Shape()
    server.model = Model(shape, initial(shape, np.random.default_rng(1)))
    return server


def test_checkpoint_comes_back_whole_and_old_ones_go(tmp_path: Path) -> None:
    parameters = initial(Shape(), np.random.default_rng(0))
    assert checkpoint.newest(tmp_path) is None
    for step in (0, 999, 10_000):
        saved = checkpoint.save(tmp_path, step, {**parameters, "head": parameters["head"] + step})
    newest = checkpoint.newest(tmp_path)
    assert newest == saved
    assert checkpoint.step_of(saved) == 10_000
    assert len(list(tmp_path.iterdir())) == checkpoint.KEPT
    found = checkpoint.load(saved)
    assert found.keys() == parameters.keys()
    np.testing.assert_array_equal(found["head"], parameters["head"] + 10_000)
    np.testing.assert_array_equal(found["0/qkv"], parameters["0/qkv"])


def test_clients_ask_again_only_after_an_answer() -> None:
    clients = Clients(TEXT, 64, np.random.default_rng(0), 100.0)
    waiting = []
    for now in np.arange(100.0, 400.0, 0.5):
        waiting += clients.due(float(now))
    assert len(waiting) == MOST
    assert clients.next_arrival() == np.inf
    assert [one.arrived for one in waiting] == sorted(one.arrived for one in waiting)
    for request in waiting:
        assert request.window.shape == (64,)
        assert ANSWER_TOKENS[0] <= request.wanted <= ANSWER_TOKENS[1]
    clients.answered(400.0)
    assert 400.0 < clients.next_arrival() < np.inf


def test_clients_come_in_waves() -> None:
    clients = Clients(TEXT, 64, np.random.default_rng(0), 0.0)
    present = [clients.present(float(now)) for now in range(120)]
    assert min(present) == pytest.approx(FEWEST, abs=0.1)
    assert max(present) == pytest.approx(MOST, abs=0.1)


def test_every_token_and_request_is_counted_once(run: Recorder) -> None:
    server = server_of(run)
    clients = Clients(TEXT, Shape().context, np.random.default_rng(0), -60.0)
    requests = clients.due(0.0)
    wanted = [request.wanted for request in requests]
    assert len(requests) > SLOTS
    server.waiting += requests
    done = []
    while server.waiting or server.running:
        server.admit(0.0)
        assert len(server.running) <= SLOTS
        done += server.step()
    assert {id(one) for one in done} == {id(one) for one in requests}
    assert [len(request.written) for request in requests] == wanted
    told = run.told
    assert sum(told["generated_tokens"]) == sum(wanted)
    assert sum(told["requests"]) == len(told["e2e_seconds"]) == len(requests)
    assert len(told["ttft_seconds"]) == len(told["queue_seconds"]) == len(requests)
    assert len(told["itl_seconds"]) == sum(wanted) - len(requests)
    assert all(value >= 0 for name in told for value in told[name])


def test_the_queue_is_told_as_it_is(run: Recorder) -> None:
    server = server_of(run)
    clients = Clients(TEXT, Shape().context, np.random.default_rng(0), -60.0)
    server.waiting += clients.due(0.0)
    count = len(server.waiting)
    server.report()
    server.admit(0.0)
    server.report()
    assert run.told["requests_running"] == [0, SLOTS]
    assert run.told["requests_waiting"] == [count, count - SLOTS]


def test_sampling_follows_the_logits() -> None:
    logits = np.log(np.array([0.7, 0.2, 0.1])) * 0.8  # at the temperature that is used
    drawn = sample(np.tile(logits, (20_000, 1)), np.random.default_rng(0))
    share = np.bincount(drawn, minlength=3) / len(drawn)
    np.testing.assert_allclose(share, [0.7, 0.2, 0.1], atol=0.015)


def test_window_moves_on_with_what_is_written(run: Recorder) -> None:
    server = server_of(run)
    clients = Clients(TEXT, Shape().context, np.random.default_rng(0), -60.0)
    request = clients.due(0.0)[0]
    asked = request.window
    server.waiting.append(request)
    server.admit(0.0)
    for _ in range(3):
        server.step()
    np.testing.assert_array_equal(request.window[:-3], asked[3:])
    assert request.window[-3:].tolist() == request.written
