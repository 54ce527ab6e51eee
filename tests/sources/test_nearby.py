"""The servers of this machine are found by their ports, with nothing but GETs of a page."""

from __future__ import annotations

import argparse
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pages import Answers, sample, serve

from llmtop.cli.servers import discovers
from llmtop.clock import ManualClock, SystemClock
from llmtop.engine import Engine
from llmtop.sources.scraping.listening import listening
from llmtop.sources.scraping.nearby import LONGEST_PAUSE, SEARCH_SECONDS, Nearby
from llmtop.sources.scraping.settings import Settings
from llmtop.store import Store

PAGE = sample("vllm:num_requests_running", 3, 'model_name="m"')


def port_of(address: str) -> int:
    port = urlsplit(address).port
    assert port is not None
    return port


def test_a_server_that_listens_is_found_and_watched() -> None:
    with serve([PAGE]) as (address, answers), serve([404]) as (other, asked):
        ports = port_of(address), port_of(other)
        source = Nearby(
            clock=SystemClock(), settings=Settings(interval=0.05, token="secret"), ports=ports
        )
        engine = Engine(Store(memory_bytes=64 << 20), [source], SystemClock())
        engine.start()
        try:
            assert engine.wait_caught_up(20)
        finally:
            engine.stop()
        (run,) = engine.store.runs
        assert run.name == "m"
        assert run.tags["address"] == f"http://127.0.0.1:{ports[0]}/metrics"
        assert {path for path, _ in answers.asked} == {"/metrics"}
        assert {path for path, _ in asked.asked} <= {"/metrics", "/prometheus/metrics"}
        assert all("Authorization" not in headers for _, headers in answers.asked + asked.asked)


def test_without_servers_it_is_caught_up_and_content() -> None:
    source = Nearby(clock=SystemClock(), ports=())
    engine = Engine(Store(memory_bytes=64 << 20), [source], SystemClock())
    engine.start()
    try:
        assert engine.wait_caught_up(20)
        assert engine.source_states[0].state == "ok"
        assert engine.source_states[0].status == ""
    finally:
        engine.stop()


def test_a_search_that_fails_is_said_and_does_not_keep_others_waiting() -> None:
    def look() -> dict[int, str]:
        raise RuntimeError("no table of sockets")

    source = Nearby(clock=SystemClock(), ports=(), look=look)
    engine = Engine(Store(memory_bytes=64 << 20), [source], SystemClock())
    engine.start()
    try:
        assert engine.wait_caught_up(20)
        assert engine.source_states[0].status == "looking for servers: no table of sockets"
    finally:
        engine.stop()


def test_a_server_that_begins_later_is_found_too() -> None:
    clock = SystemClock()
    with serve([PAGE]) as (address, _):
        there: dict[int, str] = {}
        source = Nearby(clock=clock, settings=Settings(interval=0.05), ports=(port_of(address),),
                        look=lambda: dict(there))
        stop, seen = threading.Event(), []
        source.search_once()
        there[port_of(address)] = "1"
        source.search_once()
        for batch in source.batches(stop):
            seen += batch.runs
            if seen:
                stop.set()
        assert [run.name for run in seen] == ["m"]


def test_what_is_no_server_is_asked_ever_more_rarely_and_anew_when_another_listens() -> None:
    clock = ManualClock()
    with serve(Answers([404])) as (address, answers):
        inode = ["1"]
        source = Nearby(clock=clock, ports=(port_of(address),),
                        look=lambda: {port_of(address): inode[0]})
        source.search_once()
        each = len(answers.asked)
        waited = []
        for _ in range(200):
            before = len(answers.asked)
            clock.advance(SEARCH_SECONDS)
            source.search_once()
            if len(answers.asked) > before:
                waited.append(clock.now)
        gaps = [b - a for a, b in pairwise(waited)]
        assert gaps[0] == 2 * SEARCH_SECONDS
        assert max(gaps) == LONGEST_PAUSE
        assert gaps == sorted(gaps)
        inode[0] = "2"
        before = len(answers.asked)
        source.search_once()
        assert len(answers.asked) == before + each


def test_a_port_that_does_not_listen_is_not_asked() -> None:
    with serve([PAGE]) as (address, answers):
        Nearby(clock=ManualClock(), ports=(port_of(address),), look=dict).search_once()
        assert answers.asked == []


def test_devices_of_this_machine_are_not_read_twice() -> None:
    with serve([sample("DCGM_FI_DEV_GPU_UTIL", 97, 'gpu="0"')]) as (address, _):
        source = Nearby(clock=SystemClock(), ports=(port_of(address),))
        source.search_once()
        source.extend()
        assert source.endpoints == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_ports_of_this_user_that_listen_here() -> None:
    with serve([PAGE]) as (address, _):
        found = listening()
        assert found is not None
        assert found[port_of(address)].isdigit()
        others = listening(user=os.getuid() + 12345)
        assert others is not None
        assert os.getuid() == 0 or port_of(address) not in others
    deadline = time.monotonic() + 10
    while port_of(address) in (listening() or {}):
        assert time.monotonic() < deadline


def test_tables_of_sockets_are_read_with_care(tmp_path: Path) -> None:
    assert listening(tmp_path) is None
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "  sl  local_address rem_address   st tx rx tr tm retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F40 00000000:0000 0A 0:0 0:0 0 1000 0 111 1\n"
        "   1: 00000000:1F41 00000000:0000 0A 0:0 0:0 0 0 0 112 1\n"
        "   2: 0100007F:1F42 00000000:0000 01 0:0 0:0 0 1000 0 113 1\n"
        "   3: 0100007F:1F43 00000000:0000 0A 0:0 0:0 0 1001 0 114 1\n"
        "   4: 0A00000A:1F44 00000000:0000 0A 0:0 0:0 0 1000 0 115 1\n"
        "   5: 0100007F:zz 00000000:0000 0A 0:0 0:0 0 1000 0 116 1\n"
        "garbage\n\xff\n", encoding="latin-1",
    )  # fmt: skip
    assert listening(tmp_path, user=1000) is not None
    assert set(listening(tmp_path, user=1000) or {}) == {8000, 8001}


@pytest.mark.parametrize(("named", "environ", "wanted"), [
    ({}, {}, True), ({"no_discover": True}, {}, False), ({}, {"LLMTOP_NO_DISCOVER": "1"}, False),
    ({}, {"LLMTOP_NO_DISCOVER": "0"}, True), ({"source": ["demo"]}, {}, False),
    ({"command": ["python"]}, {}, False),
])  # fmt: skip
def test_when_servers_are_looked_for(
    named: dict[str, object], environ: dict[str, str], wanted: bool
) -> None:  # fmt: skip
    assert discovers(argparse.Namespace(**named), environ) is wanted
