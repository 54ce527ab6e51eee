"""Servers are watched over real sockets: increments, restarts, silence, redirects, TLS."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import BOUNDS, Answers, Watch, histogram, sample, serve, still

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.errors import SourceError, UsageError
from llmtop.samples import Batch
from llmtop.sources import open_source
from llmtop.sources.scraping import fetch as fetching
from llmtop.sources.scraping.address import candidates, checked
from llmtop.sources.scraping.endpoint import Found
from llmtop.sources.scraping.exposition import NotMetricsError
from llmtop.sources.scraping.fetch import Fetch, FetchError
from llmtop.sources.scraping.settings import Settings
from llmtop.sources.scraping.source import Scrape
from llmtop.sources.scraping.target import Look
from llmtop.store import Store

QUICK = Settings(interval=0.05)
CLOCK = SystemClock()


def tokens(n: float, extra: str = "") -> str:
    return sample("vllm:generation_tokens_total", n, 'model_name="m"', "counter") + extra


def get(url: str, timeout: float = 5.0, **how: Any) -> str:
    fetch = Fetch(CLOCK, **how)
    try:
        return fetch.get(url, timeout).text
    finally:
        fetch.close()


class Watching:
    """An engine over a source, pumped until something is so."""

    def __init__(self, source: Scrape) -> None:
        self.engine = Engine(Store(memory_bytes=64 << 20), [source], CLOCK)
        self.engine.start()

    def until(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it did not come to that"
            self.engine.pump(CLOCK.time())
            time.sleep(0.005)

    @property
    def store(self) -> Store:
        return self.engine.store

    @property
    def events(self) -> list[str]:
        return [event.text for run in self.store.runs for event in run.events]

    def close(self) -> None:
        self.engine.stop()


@pytest.fixture
def watching(request: pytest.FixtureRequest) -> Callable[[Scrape], Watching]:
    def begin(source: Scrape) -> Watching:
        found = Watching(source)
        request.addfinalizer(found.close)
        return found

    return begin


def test_the_first_look_tells_gauges_and_the_second_increments() -> None:
    watch = Watch()
    watch.page(tokens(1000, sample("vllm:num_requests_running", 3)))
    assert watch.last("requests_running") == 3
    assert not watch.run.find("generated_tokens")
    watch.page(tokens(1500))
    assert watch.rate("generated_tokens") == pytest.approx(50)
    assert watch.series("generated_tokens").sum == 500
    assert watch.series("generated_tokens").rate(60, watch.now) == pytest.approx(50)


def test_a_restart_counts_from_zero_and_is_told() -> None:
    watch = Watch()
    for n in (1000, 1500, 80):
        watch.page(tokens(n))
    assert watch.grew("generated_tokens") == pytest.approx(80)
    assert any(text.startswith("RESTARTED") for text in watch.events)


@pytest.mark.parametrize("mark", ["process_start_time_seconds", "vllm:generation_tokens_created"])
def test_a_restart_shows_in_its_time_of_birth_though_the_counter_is_larger(mark: str) -> None:
    watch = Watch()
    watch.page(tokens(100, sample(mark, 1.7e9)))
    watch.page(tokens(500, sample(mark, 1.7e9 + 60)))
    assert watch.grew("generated_tokens") == pytest.approx(500)
    assert any("RESTARTED" in text for text in watch.events)


def test_a_restart_shows_in_the_header_that_llamacpp_sends() -> None:
    watch = Watch()
    watch.page(sample("llamacpp:tokens_predicted_total", 100), "1700000000")
    watch.page(sample("llamacpp:tokens_predicted_total", 700), "1700000060")
    assert watch.grew("generated_tokens") == pytest.approx(700)


def test_a_sample_that_appears_has_no_increment_yet_and_one_that_vanishes_is_a_gap() -> None:
    watch = Watch()
    name = "vllm:request_success_total"
    stop, error = 'finished_reason="stop"', 'finished_reason="error"'
    watch.page(sample(name, 10, stop))
    watch.page(sample(name, 20, stop) + sample(name, 5000, error))
    assert watch.grew("requests") == pytest.approx(10)
    watch.page(sample(name, 30, stop) + sample(name, 5002, error))
    assert watch.grew("requests") == pytest.approx(12)
    watch.page(sample("vllm:num_requests_running", 1))
    assert len(watch.series("requests").points("time", watch.now - 5, watch.now).value) == 0
    watch.page(sample(name, 90, stop) + sample(name, 5003, error))
    assert len(watch.series("requests").points("time", watch.now - 5, watch.now).value) == 0


def test_a_sample_that_says_when_it_was_made_counts_from_then() -> None:
    name, error = "vllm:request_success", 'finished_reason="error"'
    stop = sample(f"{name}_total", 10, 'finished_reason="stop"')

    def page(made: float) -> str:
        return stop + sample(f"{name}_total", 7, error) + sample(f"{name}_created", made, error)

    watch = Watch()
    watch.page(stop)
    watch.page(page(watch.now + 5))
    assert watch.grew("requests") == pytest.approx(7)
    assert watch.events == []
    old = Watch()
    old.page(stop)
    old.page(page(old.now - 3600))
    assert old.grew("requests") == 0


def test_what_was_counted_over_a_silence_is_no_spike() -> None:
    watch = Watch(seconds=1.0)
    watch.page(tokens(0))
    watch.page(tokens(100))
    watch.page(tokens(3100), wait=30.0)
    points = watch.series("generated_tokens").window(99)
    assert points.value.sum() == pytest.approx(3100)
    assert points.value.max() == pytest.approx(100)


def test_a_histogram_that_contradicts_itself_is_forced_to_grow_and_said_to_be_odd() -> None:
    watch = Watch()
    watch.page(histogram("vllm:time_to_first_token_seconds", [0] * 5, 0))
    name = "vllm:time_to_first_token_seconds"
    odd = "".join(f'{name}_bucket{{le="{bound}"}} {n}\n'
                  for bound, n in zip(BOUNDS, (5, 4, 4, 4, 10), strict=True))
    watch.page(odd + f"{name}_count 12\n{name}_sum 12\n")
    found = watch.series("ttft_seconds").quantiles([0.5])
    assert found.n == 10
    assert found.values[0] == pytest.approx(0.1)
    assert any("its buckets hold 10 observations, its count is 12" in text for text in watch.events)


def test_without_an_open_bucket_there_is_a_mean_but_no_percentile() -> None:
    name = "vllm:time_to_first_token_seconds"

    def page(n: int) -> str:
        return (f'{name}_bucket{{le="1"}} {n}\n{name}_bucket{{le="2"}} {n}\n'
                f"{name}_count {n}\n{name}_sum {n * 1.5}\n")

    watch = Watch()
    watch.page(page(0))
    watch.page(page(10))
    found = watch.series("ttft_seconds").quantiles([0.5])
    assert found.n == 10
    assert np.isnan(found.values[0])
    assert found.mean == pytest.approx(1.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([
    "vllm:time_to_first_token_seconds_bucket", "vllm:time_to_first_token_seconds_sum",
    "vllm:time_to_first_token_seconds_count", "vllm:generation_tokens_total",
    "vllm:kv_cache_usage_perc", "process_start_time_seconds", "vllm:x_info", "DCGM_FI_DEV_GPU_UTIL",
]), st.sampled_from(["", 'le="1"', 'le="+Inf"', 'le="x"', 'le="NaN"', 'gpu="0"', 'le="-1"']),
    st.floats()), max_size=12), st.integers(1, 3))
def test_no_page_of_odd_numbers_breaks_anything(
    lines: list[tuple[str, str, float]], times: int
) -> None:  # fmt: skip
    watch = Watch()
    for turn in range(times + 1):
        text = "".join(f"{name}{{{labels}}} {value * (turn or 1)!r}\n"
                       for name, labels, value in lines)
        try:
            watch.page(text)
        except NotMetricsError:
            return
    for run in watch.store.runs:
        for series in run.series:
            assert series.kind != "counter" or not (series.window(99).value < 0).any()
            if series.kind == "distribution":
                series.quantiles([0.5, 0.99])
                series.quantile_columns([0.5], watch.now - 60, watch.now, 5)


def test_gzip_and_headers() -> None:
    with serve(Answers([tokens(1)], zipped=True)) as (address, answers):
        assert get(f"{address}/metrics", token="secret") == tokens(1)
        _, headers = answers.asked[0]
        assert headers["Authorization"] == "Bearer secret"
        assert "gzip" in headers["Accept-Encoding"]


def test_one_connection_serves_many_looks_and_a_closed_one_is_opened_again() -> None:
    with serve([tokens(1)]) as (address, answers):
        fetch = Fetch(CLOCK)
        for _ in range(3):
            fetch.get(f"{address}/metrics", 5.0)
        assert fetch._connection is not None
        assert fetch._connection.sock is not None
        fetch._connection.sock.shutdown(2)
        assert fetch.get(f"{address}/metrics", 5.0).text == tokens(1)
        fetch.close()
    assert len(answers.asked) == 4


def test_one_redirect_is_followed_and_a_token_goes_to_no_stranger() -> None:
    with serve([tokens(7)]) as (other, reached):
        moved = Answers([307], headers={"Location": f"{other}/metrics"})
        with serve(moved) as (address, asked):
            assert get(f"{address}/metrics", token="secret") == tokens(7)
        assert "Authorization" in asked.asked[0][1]
        assert "Authorization" not in reached.asked[0][1]
    circle = Answers([307], headers={"Location": "/metrics"})
    with serve(circle) as (address, _), pytest.raises(FetchError, match="more than once"):
        get(f"{address}/metrics")
    astray = Answers([302], headers={"Location": "file:///etc/passwd"})
    with serve(astray) as (address, _), pytest.raises(FetchError, match="no web address"):
        get(f"{address}/metrics")


def test_a_status_is_told_with_what_helps() -> None:
    with serve([401]) as (address, _), pytest.raises(FetchError, match=r"401 .*--token-env"):
        get(f"{address}/metrics")
    with serve([503]) as (address, _), pytest.raises(FetchError, match="503"):
        get(f"{address}/metrics")


def test_a_slow_server_is_left_in_time() -> None:
    release = threading.Event()

    def slow() -> str:
        release.wait(20)
        return tokens(1)

    with serve([slow]) as (address, _):
        began = time.monotonic()
        with pytest.raises(FetchError, match="in time"):
            get(f"{address}/metrics", timeout=0.2)
        assert time.monotonic() - began < 10
        release.set()


def test_a_name_server_that_does_not_answer_is_left_in_time_and_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, asked, known = threading.Event(), [], socket.getaddrinfo

    def slow(host: str, *args: Any, **named: Any) -> Any:
        if host == "127.0.0.1":
            return known(host, *args, **named)
        asked.append(host)
        over.wait(20)
        return known("127.0.0.1", *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with serve([tokens(1)]) as (address, _):
        url = f"http://box.example:{urlsplit(address).port}/metrics"
        fetch, began = Fetch(SystemClock()), time.monotonic()
        for _ in range(2):
            with pytest.raises(FetchError, match="its name is not resolved in time"):
                fetch.get(url, 0.1)
        assert time.monotonic() - began < 10
        over.set()
        assert "generation_tokens" in fetch.get(url, 20).text
        assert asked == ["box.example"], "a question that is open is not asked again"
        fetch.close()


def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError, match="no such host"):
        Fetch(SystemClock()).get("http://nowhere.example/metrics", 5)


@contextmanager
def raw(*parts: bytes, drip: bytes = b"") -> Iterator[str]:
    """Answer one request with these bytes; then with `drip`, byte by byte, until hung up on."""
    over = threading.Event()

    def answer() -> None:
        with listening.accept()[0] as found, suppress(ConnectionError):
            found.recv(65536)
            for part in parts:
                found.sendall(part)
            while drip and not over.wait(0.02):
                found.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        ending = threading.Timer(20, over.set)
        ending.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        ending.cancel()
        over.set()
        thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("begun", [OK, OK + b"Content-Length: 100000\r\n\r\n"])
def test_a_server_that_drips_is_left_in_time(begun: bytes) -> None:
    with raw(begun, drip=b"a") as address:
        began = time.monotonic()
        with pytest.raises(FetchError, match="in time"):
            get(f"{address}/metrics", timeout=0.3)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("head", [
    b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n100\r\n",
])
def test_a_page_that_breaks_off_is_no_page(head: bytes) -> None:
    with raw(OK + head, b"vllm:num_requests_running 3\n") as address, pytest.raises(FetchError):
        get(f"{address}/metrics")


def test_a_packed_page_that_breaks_off_is_no_page() -> None:
    packed = gzip.compress(tokens(1).encode())
    head = OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    with raw(head, packed) as address:
        assert get(f"{address}/metrics") == tokens(1)
    with raw(head, packed[:-9]) as address, pytest.raises(FetchError, match="breaks off"):
        get(f"{address}/metrics")


def test_a_body_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 100_000)
    for zipped in (False, True):
        body = Answers([b"a" * 200_000], zipped=zipped)
        with serve(body) as (address, _), pytest.raises(FetchError, match="more than"):
            get(f"{address}/metrics")


def test_nobody_there_and_no_http() -> None:
    with serve([1]) as (address, _):
        pass
    with pytest.raises(FetchError, match="nothing listens"):
        get(f"{address}/metrics")
    with pytest.raises(FetchError, match="no such host"):
        get("http://no-such-host.invalid/metrics")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody vouches for."""
    import subprocess

    place = tmp_path_factory.mktemp("tls")
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-keyout", "key", "-out", "cert"], cwd=place, capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("openssl is not here to make a certificate")
    return place


def test_certificates_are_verified_unless_that_is_switched_off(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert", certificate / "key")
    with serve([tokens(3)], tls=context) as (address, _):
        with pytest.raises(FetchError, match=r"not to be trusted.*--insecure"):
            get(f"{address}/metrics")
        assert get(f"{address}/metrics", insecure=True) == tokens(3)
    with serve([tokens(3)]) as (address, _), pytest.raises(FetchError, match="TLS"):
        get(f"{address}/metrics".replace("http:", "https:"))


def test_an_unverified_server_is_marked() -> None:
    from llmtop.sources.scraping.target import Look, Target, numbers

    target = Target("https://box", Settings(insecure=True), numbers(), lambda model, place: place)
    (info,) = target.take(tokens(1), "", Look(0.0, 0.0)).runs
    assert info.tags["tls"] == "not verified"


@pytest.mark.parametrize(("address", "urls"), [
    ("http://h:8000", ["http://h:8000/metrics", "http://h:8000/prometheus/metrics",
                       "http://h:8002/metrics"]),
    ("http://h:8002/", ["http://h:8002/metrics", "http://h:8002/prometheus/metrics"]),
    ("http://[::1]:8000", ["http://[::1]:8000/metrics", "http://[::1]:8000/prometheus/metrics",
                           "http://[::1]:8002/metrics"]),
    ("http://h/a/metrics", ["http://h/a/metrics"]), ("http://h/?model=x", ["http://h/?model=x"]),
])  # fmt: skip
def test_where_a_page_is_looked_for(address: str, urls: list[str]) -> None:
    assert candidates(address) == urls


@pytest.mark.parametrize("address", [
    "http://", "http://:80", "http://h:99999", "http://h:x", "http://u:p@h", "http://a b",
    "http://h:0",
])  # fmt: skip
def test_an_address_that_cannot_be_asked_is_refused(address: str) -> None:
    with pytest.raises(UsageError):
        checked(address)
    with pytest.raises(UsageError):
        open_source(address, CLOCK)


def test_a_server_is_watched(watching: Callable[[Scrape], Watching]) -> None:
    steps = iter(range(10**9))
    with serve([lambda: tokens(100 * next(steps))]) as (address, answers):
        seen = watching(Scrape([address], clock=CLOCK, settings=QUICK))
        seen.until(lambda: bool(seen.store.runs)
                   and any(one.n > 5 for one in seen.store.runs[0].find("generated_tokens")))
        (run,) = seen.store.runs
        assert (run.name, run.phase, run.source) == ("m", "serve", "scrape")
        assert {path for path, _ in answers.asked} == {"/metrics"}
        values = run.find("generated_tokens")[0].window(99).value
        assert values.sum() == pytest.approx(100 * round(values.sum() / 100))
        assert values.sum() >= 100
        assert seen.engine.caught_up


def test_looks_keep_their_beat_and_make_up_for_none_that_was_missed() -> None:
    clock = still()
    source = Scrape(["http://box/metrics"], clock=clock, settings=Settings(interval=1.0))
    (one,) = source.endpoints
    began = clock.now
    for late, due in ((0.3, 1.0), (0.1, 2.0), (5.5, 8.0), (0.0, 9.0)):
        mono = one.due + late
        answer = fetching.Answer(tokens(mono), "", "http://box/metrics")
        one.took(Found(answer, "", Look(mono, mono)))
        assert one.due == pytest.approx(began + due)
        assert one.due >= mono


def test_json_at_the_first_path_leads_to_the_second(watching: Callable[[Scrape], Watching]) -> None:
    with serve(["[]", "[]", tokens(1)], paths=("/metrics", "/prometheus/metrics")) as (address, at):
        at.bodies = [lambda: "[]" if at.asked[-1][0] == "/metrics" else tokens(1)]
        seen = watching(Scrape([address], clock=CLOCK, settings=Settings(interval=0.2)))
        seen.until(lambda: bool(seen.store.runs))
        asked = [path for path, _ in at.asked]
        assert asked[:2] == ["/metrics", "/prometheus/metrics"]
        seen.until(lambda: len(at.asked) > 4)
        assert {path for path, _ in at.asked[2:]} == {"/prometheus/metrics"}


def test_a_server_that_falls_silent_is_down_and_comes_back(
    watching: Callable[[Scrape], Watching],
) -> None:
    up = threading.Event()
    up.set()
    with serve([lambda: tokens(1) if up.is_set() else 503]) as (address, _):
        source = Scrape([address], clock=CLOCK, settings=QUICK)
        seen = watching(source)
        seen.until(lambda: bool(seen.store.runs))
        up.clear()
        seen.until(lambda: any("target_down" in text and "503" in text for text in seen.events))
        seen.until(lambda: "503" in seen.engine.source_states[0].status)
        up.set()
        seen.until(lambda: any("target_up" in text for text in seen.events))
        seen.until(lambda: seen.engine.source_states[0].status == "")
        assert sum("target_down" in text for text in seen.events) == 1


@pytest.mark.parametrize(("status", "path", "said"), [
    (404, "", "answers 404 Not Found; SGLang has a page of metrics with --enable-metrics; of a "
              "server that has none, its clients tell: llmtop.integrations.openai.watch(client)"),
    (501, "", "answers 501 Not Implemented; llama.cpp's server has a page of metrics with "
              "--metrics"),
    (404, "/here", "answers 404 Not Found"), (500, "", "answers 500 Internal Server Error"),
])  # fmt: skip
def test_a_server_without_a_page_says_what_helps(status: int, path: str, said: str) -> None:
    with serve(Answers([status])) as (address, _):
        source = Scrape([f"{address}{path}"], clock=SystemClock())
        (one,) = source.endpoints
        assert one.look().why == said


def test_a_server_that_was_never_there_is_a_lost_source() -> None:
    with serve([1]) as (address, _):
        pass
    source = Scrape([address], clock=CLOCK, settings=QUICK)
    with pytest.raises(SourceError, match="nothing listens"):
        for _ in source.batches(threading.Event()):
            pass


def test_one_server_of_many_may_be_down(watching: Callable[[Scrape], Watching]) -> None:
    with serve([1]) as (dead, _):
        pass
    with serve([tokens(1)]) as (one, _), serve([tokens(2)]) as (two, _):
        seen = watching(Scrape([dead, one, two], clock=CLOCK, settings=QUICK))
        seen.until(lambda: len(seen.store.runs) == 2)
        # Two servers of one model are told apart by their places.
        second = next(run.name for run in seen.store.runs if run.name != "m")
        assert re.fullmatch(r"m 127\.0\.0\.1:\d+", second)
        seen.until(lambda: "1 of 3 servers" in seen.engine.source_states[0].status)
        seen.until(lambda: seen.engine.caught_up)


def test_a_page_of_unknown_names_says_what_to_do() -> None:
    with serve([sample("node_load1", 1) + sample("node_load5", 2)]) as (address, _):
        source = Scrape([address], clock=CLOCK, settings=QUICK)
        stop, status = threading.Event(), ""
        for batch in source.batches(stop):
            if batch.status:
                status = batch.status
                stop.set()
    assert "no engine known here; --metric REGEX charts any of its 2 metrics" in status
    wanted = Settings(interval=0.05, metrics=(re.compile("node_laod1"),))
    with serve([sample("node_load1", 1)]) as (address, _):
        stop = threading.Event()
        for batch in Scrape([address], clock=CLOCK, settings=wanted).batches(stop):
            if batch.status:
                status = batch.status
                stop.set()
    assert status == "--metric node_laod1: not found, nearest is node_load1"


def test_no_more_is_asked_than_a_page(watching: Callable[[Scrape], Watching]) -> None:
    with serve([tokens(1)]) as (address, answers):
        # With more time for an answer than a busy machine takes: one that is late counts as none.
        seen = watching(Scrape([address], clock=CLOCK, settings=Settings(interval=0.4)))
        seen.until(lambda: answers.given > 3)
    assert {path for path, _ in answers.asked} == {"/metrics"}


def test_stop_ends_it_soon() -> None:
    with serve([tokens(1)]) as (address, _):
        stop = threading.Event()
        batches: list[Batch] = []
        for batch in Scrape([address], clock=CLOCK, settings=QUICK).batches(stop):
            batches.append(batch)
            if batch.caught_up:
                stop.set()
        assert any(batch.runs for batch in batches)


def test_threads_end_with_the_source_however_it_ends() -> None:
    def asking() -> set[threading.Thread]:
        return {one for one in threading.enumerate() if one.name == "llmtop-scrape"}

    before = asking()
    with serve([tokens(1)]) as (address, _):
        batches = Scrape([address], clock=CLOCK, settings=QUICK).batches(threading.Event())
        while not next(batches).runs:
            pass
        batches.close()  # type: ignore[attr-defined]
        for thread in asking() - before:
            thread.join(10)
        assert asking() <= before
