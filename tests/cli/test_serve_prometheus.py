"""`llmtop serve --prometheus` as Prometheus, promtool and llmtop itself find it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from processes import free_port, publisher
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read

from llmtop.cli.prometheus import parse
from llmtop.errors import UsageError

PATIENCE = 40.0
SCRIPT = """
import sys, llmtop
run = llmtop.init("trainer", total_steps=1000)
for step in range(500):
    run.log({"loss": 4 - step / 500, "accuracy": 0.25, "tokens_per_second": 1000.0}, step=step)
    run.count("generated_tokens", 2)
    run.observe("ttft_seconds", 0.2)
print("logged", flush=True)
for line in sys.stdin:
    run.count("generated_tokens", 64)
"""


def fetch(address: str, accept: str = "") -> str:
    request = urllib.request.Request(address, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read().decode()


@contextmanager
def exporting(environment: dict[str, str], address: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Yield `llmtop serve` and the line it said about its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llmtop", "serve", "--no-discover", "--prometheus", address],
        env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process, next(line for line in process.stdout if "Prometheus" in line)
    finally:
        process.kill()
        process.communicate()


def until_told(address: str, needle: str) -> str:
    """Return the page once it says something."""
    deadline = time.monotonic() + PATIENCE
    while needle not in (text := fetch(address)):
        assert time.monotonic() < deadline, text
    return text


def test_a_page_of_a_real_run_is_read_by_all_who_read_such_pages(llmtop, environment) -> None:
    address = f"http://127.0.0.1:{free_port()}/metrics"
    with (
        exporting(environment, address[7:-8]) as (process, notice),
        publisher(environment, SCRIPT) as run,
    ):
        assert notice == f"Prometheus can scrape {address}\n"
        text = until_told(address, 'llmtop_run_step{phase="train",run="trainer"} 499.0')
        for families in (read(text), read_open(fetch(address, "application/openmetrics-text"))):
            named = {one.name: one for one in families}
            value = {sample.name: sample.value
                     for one in named.values() for sample in one.samples}
            assert named["llmtop_generated_tokens"].type == "counter"
            assert named["llmtop_ttft_seconds"].type == "histogram"
            assert value["llmtop_loss"] == pytest.approx(4 - 499 / 500)
            assert value["llmtop_accuracy_ratio"] == 0.25
            assert value["llmtop_ttft_seconds_count"] == 500
            assert value["llmtop_run_step"] == 499
            labels = named["llmtop_loss"].samples[0].labels
            assert labels == {"run": "trainer", "phase": "train", "host": socket.gethostname()}
        # llmtop reads its own page, and the counter's growth between two looks.
        run.stdin.write("more\n")
        back = llmtop("--json", "--interval", "0.3", "--wait", "5", address,
                      LLMTOP_DIR="/nonexistent/llmtop")
        document = json.loads(back.stdout)
        (found,) = document["runs"]
        series = {one["name"]: one for one in found["series"]}
        assert (found["name"], found["phase"]) == ("trainer", "train")
        assert series["loss"]["last"][2] == pytest.approx(4 - 499 / 500)
        assert series["tokens_per_second"]["unit"] == "tokens/s"
        assert document["hosts"][0]["name"] == socket.gethostname()
        assert any(one["name"] == "host_load" for one in document["hosts"][0]["series"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_a_port_alone_means_everywhere_and_that_is_said(environment) -> None:
    port = free_port()
    with exporting(environment, f":{port}") as (_, notice):
        assert notice == (
            f"Prometheus can scrape http://0.0.0.0:{port}/metrics; so can whoever reaches this "
            f"machine (127.0.0.1:{port} keeps it here)\n"
        )
        assert "llmtop_build_info" in fetch(f"http://127.0.0.1:{port}/metrics")


def test_what_cannot_be_served_is_said(llmtop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = llmtop("serve", "--prometheus", address)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--prometheus: {address}: Address already in use" in done.stderr
    done = llmtop("--once", "--prometheus", ":9464")
    assert done.returncode == 2
    assert "--prometheus is for llmtop serve" in done.stderr


@pytest.mark.parametrize(("text", "found"), [
    (":9464", ("0.0.0.0", 9464)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:80", ("::1", 80)),
    ("node:80", ("node", 80)),
])  # fmt: skip
def test_addresses_of_a_page(text: str, found: tuple[str, int]) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    "text", ["9464", "http://x:9464", "::1:80", ":0", ":70000", "x", "[::1]", ":a"]
)
def test_no_addresses_of_a_page(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape("write :9464 or 127.0.0.1:9464")):
        parse(text)
