"""`run.request()`: what a server says of one request is what a monitor hears of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from listener import Heard, Listener

import llmtop
from llmtop.publish import request as module
from llmtop.publish.inbox import Inbox
from llmtop.publish.request import Requests
from llmtop.publish.run import Run
from llmtop.wire import DROPPED_NAME


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


@pytest.fixture
def told(rendezvous: Path) -> Callable[[Callable[[Run], object]], Heard]:
    """Return a function that runs a server and returns what a monitor heard of it."""

    def tell(serve: Callable[[Run], object]) -> Heard:
        with Listener(rendezvous) as hub:
            run = llmtop.init("server", phase="serve")
            serve(run)
            thread = threading.Thread(target=run.finish)
            thread.start()
            heard = hub.hear()
            thread.join()
        return heard

    return tell


Told = Callable[[Callable[[Run], object]], Heard]


def test_a_request_from_the_queue_to_the_last_token(told: Told, clock: Clock) -> None:
    def serve(run: Run) -> None:
        with run.request(prompt_tokens=7, queued=True) as request:
            clock.now += 0.5
            request.started()
            clock.now += 0.25
            request.first_token()
            clock.now += 0.125
            request.token()
            clock.now += 0.375
            request.token(2)
            clock.now += 1.0

    heard = told(serve)
    assert heard.values("queue_seconds") == [0.5]
    assert heard.values("ttft_seconds") == [0.75]
    assert heard.values("itl_seconds") == [0.125, 0.375]
    assert heard.values("tpot_seconds") == [0.5 / 3]
    assert heard.values("e2e_seconds") == [2.25]
    assert heard.values("prompt_tokens") == [7.0]
    assert heard.values("generated_tokens") == [1.0, 1.0, 2.0]
    assert heard.values("requests") == [1.0]
    assert heard.values("errors") == heard.values("cancelled") == []
    assert heard.values("requests_waiting") == [1.0, 0.0]
    assert heard.values("requests_running") == [1.0, 0.0]
    kinds = {name: meta["kind"] for name, meta in heard.meta.items()}
    assert kinds["itl_seconds"] == "distribution"
    assert kinds["generated_tokens"] == kinds["requests"] == "counter"
    assert kinds["requests_running"] == "gauge"


def test_the_first_call_of_token_is_the_first_token(told: Told, clock: Clock) -> None:
    def serve(run: Run) -> None:
        with run.request() as request:
            clock.now += 0.5
            request.token(4)
            request.first_token()
            request.started()
            request.started()

    heard = told(serve)
    assert heard.values("ttft_seconds") == [0.5]
    assert heard.values("generated_tokens") == [4.0]
    assert heard.values("queue_seconds") == [0.5]
    assert heard.values("itl_seconds") == heard.values("tpot_seconds") == []
    assert heard.values("prompt_tokens") == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("no"), "errors"), (TimeoutError(), "errors"),
        (asyncio.CancelledError(), "cancelled"), (GeneratorExit(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"), (KeyboardInterrupt(), "cancelled"),
        (type("ClientDisconnect", (Exception,), {})(), "cancelled"),
    ],
)  # fmt: skip
def test_an_exception_decides_the_outcome_and_passes(
    told: Told, error: BaseException, outcome: str
) -> None:
    def fail(run: Run) -> None:
        with run.request(prompt_tokens=3) as request:
            request.token()
            request.token()
            raise error

    def serve(run: Run) -> None:
        with pytest.raises(type(error)) as raised:
            fail(run)
        assert raised.value is error

    heard = told(serve)
    assert heard.values("requests") == heard.values(outcome) == [1.0]
    assert len(heard.values("errors")) + len(heard.values("cancelled")) == 1
    # What did not succeed was no fast answer, but its tokens were generated.
    assert heard.values("e2e_seconds") == heard.values("tpot_seconds") == []
    assert heard.values("generated_tokens") == [1.0, 1.0]
    assert heard.values("prompt_tokens") == [3.0]
    assert heard.values("requests_running")[-1] == 0.0


def test_a_refused_request_processed_no_prompt(told: Told) -> None:
    heard = told(lambda run: run.request(prompt_tokens=9).end("error"))
    assert heard.values("prompt_tokens") == []
    assert heard.values("errors") == [1.0]


def test_without_a_block_the_first_ending_counts(told: Told) -> None:
    def serve(run: Run) -> None:
        request = run.request()
        request.end("cancelled")
        request.end()
        request.token()
        request.usage(generated_tokens=5)
        run.request().end("no such outcome")

    heard = told(serve)
    assert heard.values("requests") == [1.0, 1.0]
    assert heard.values("cancelled") == heard.values("errors") == [1.0]
    assert heard.values("generated_tokens") == []
    assert any("ok, error, cancelled" in text for text in heard.texts("warning"))


def test_totals_known_at_the_end_are_not_counted_twice(told: Told) -> None:
    def serve(run: Run) -> None:
        with run.request() as request:
            request.token(3)
            request.usage(prompt_tokens=11, generated_tokens=10)
            request.usage(generated_tokens=4)
        with run.request() as whole:
            whole.usage(5, 6)

    heard = told(serve)
    assert heard.values("generated_tokens") == [3.0, 7.0, 6.0]
    assert heard.values("prompt_tokens") == [11.0, 5.0]
    assert len(heard.values("ttft_seconds")) == 1


def test_a_dropped_generator_was_cancelled(told: Told) -> None:
    def serve(run: Run) -> None:
        def stream() -> Iterator[int]:
            with run.request() as request:
                while True:
                    request.token()
                    yield 1

        tokens = stream()
        next(tokens)
        del tokens
        request = run.request()
        del request
        gc.collect()

    heard = told(serve)
    assert heard.values("cancelled") == [1.0, 1.0]
    assert heard.values("requests_running")[-1] == 0.0


def test_async_requests_interleave(told: Told) -> None:
    async def one(run: Run, tokens: int) -> None:
        async with run.request(prompt_tokens=1) as request:
            for _ in range(tokens):
                await asyncio.sleep(0)
                request.token()

    async def cut(run: Run) -> None:
        task = asyncio.ensure_future(one(run, 10**9))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def all_of(run: Run) -> None:
        await asyncio.gather(*(one(run, tokens) for tokens in range(20)))
        await cut(run)

    heard = told(lambda run: asyncio.run(all_of(run)))
    assert len(heard.values("e2e_seconds")) == 20
    assert len(heard.values("ttft_seconds")) == 20
    assert len(heard.values("tpot_seconds")) == 18
    assert heard.values("cancelled") == [1.0]
    # The one without tokens is over before the next begins.
    assert max(heard.values("requests_running")) == 19.0
    assert heard.values("requests_running")[-1] == 0.0


def test_threads_share_a_run_and_a_request(told: Told) -> None:
    def serve(run: Run) -> None:
        shared = run.request()

        def work() -> None:
            for _ in range(50):
                with run.request(queued=True) as request:
                    request.started()
                    request.token()
                    shared.token(2)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shared.end()

    heard = told(serve)
    assert sum(heard.values("requests")) == 401
    assert sum(heard.values("generated_tokens")) == 400 + 800
    assert len(heard.values("ttft_seconds")) == 401
    assert len(heard.values("itl_seconds")) == 399
    assert heard.values("requests_running")[-1] == heard.values("requests_waiting")[-1] == 0.0


def test_a_slot_that_is_taken_again_at_once_was_never_free(told: Told) -> None:
    def serve(run: Run) -> None:
        request = run.request()
        for _ in range(50):
            request.end()
            request = run.request()
        request.end()

    running = told(serve).values("requests_running")
    assert running[0] == 1.0
    assert running[-1] == 0.0
    assert running.count(0.0) < 5


def test_how_many_run_is_told_while_it_stands_still(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init("server", phase="serve")
        request, other = run.request(queued=True), run.request()
        hub.hear(lambda heard: len(heard.values("requests_running")) > 3)
        heard = hub.hear(lambda heard: len(heard.values("requests_waiting")) > 3)
        assert set(heard.values("requests_running")) == {1.0}
        assert set(heard.values("requests_waiting")) == {1.0}
        other.end()
        request.end()
        hub.hear(lambda heard: heard.values("requests_running")[-1] == 0.0)
        hub.hear(lambda heard: heard.values("requests_waiting")[-1] == 0.0)
        thread = threading.Thread(target=run.finish)
        thread.start()
        hub.hear()
        thread.join()


def test_a_run_that_is_over_tells_no_more_of_its_open_requests(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = llmtop.init("server", phase="serve")
    request = run.request()
    run.finish()
    monkeypatch.setattr(module, "time", lambda: 1e12)
    for pulse in run._inbox.pulses:
        pulse()
    assert not run._inbox.items, "what is queued after the farewell would be waited for"
    request.end()


def test_two_first_requests_at_once_share_the_series(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    made: list[Requests] = []

    class Slow(Requests):
        def __init__(self, run: Run, inbox: Inbox) -> None:
            made.append(self)
            # Without a lock the other thread comes here, too, before either is done.
            with suppress(threading.BrokenBarrierError):
                both.wait(0.2)
            super().__init__(run, inbox)

    monkeypatch.setattr("llmtop.publish.run.Requests", Slow)
    run = llmtop.init("r")
    threads = [threading.Thread(target=lambda: run.request().end()) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_nonsense_is_told_and_never_raised(told: Told) -> None:
    def serve(run: Run) -> None:
        with run.request("many", 1, "more", other=2) as request:  # type: ignore[arg-type]
            request.token("x")
            request.token(None)
            request.token(float("nan"))
            request.token(0)
            request.token(-3)
            request.token(2.0)
            request.usage(generated_tokens="?")

    heard = told(serve)
    assert heard.values("generated_tokens") == [2.0]
    assert heard.values("requests") == [1.0]
    texts = heard.texts("warning")
    assert "request() ignores other, a str" in texts
    assert "token() of a request failed: ValueError" in texts
    assert "usage() of a request failed: ValueError" in texts


def test_off_costs_nothing_and_says_nothing(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMTOP_OFF", "1")
    run = llmtop.init(phase="serve")
    with run.request(5) as request:
        request.started()
        request.token()
        request.token()
    assert not run._items
    assert run._inbox.dropped == 0


def test_a_forked_worker_counts_only_its_own(
    rendezvous: Path, script: Callable[..., Any]
) -> None:
    source = (
        "import os, llmtop\n"
        "run = llmtop.init('prefork', phase='serve')\n"
        "parents = run.request()\n"
        "if os.fork() == 0:\n"
        "    del parents\n"
        "    with run.request() as request:\n"
        "        request.token()\n"
        "    run.finish()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "parents.end()\n"
    )
    with Listener(rendezvous) as hub:
        server = script(source)
        hub.until(
            lambda: len(hub.sessions) == 2 and all(one.bye for one in hub.sessions.values())
        )
        assert server.wait() == 0
    for heard in hub.sessions.values():
        assert heard.values("requests") == [1.0]
        assert heard.values("requests_running") == [1.0, 0.0]
        assert heard.values("cancelled") == heard.values(DROPPED_NAME) == []
