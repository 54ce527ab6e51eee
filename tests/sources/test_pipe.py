"""What another program prints is read as it comes, whole, and to its end."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
import time

import pytest

from llmtop.clock import SystemClock
from llmtop.errors import UsageError
from llmtop.formats.table import Table
from llmtop.sources import textlog
from llmtop.sources.pipe import Pipe, readable, write_all
from logfiles import Gathered


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlog, "SETTLE_SECONDS", 0.05)


def piped(*writes: bytes) -> Gathered:
    """Return what is read of a pipe that is written to piece by piece, then closed."""
    reading, writing = os.pipe()
    source = Pipe(clock=SystemClock(), table=Table(), fd=reading)
    os.close(reading)

    def write() -> None:
        for data in writes:
            os.write(writing, data)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    gathered = Gathered()
    for batch in source.batches(threading.Event()):
        gathered.add(batch)
    thread.join()
    assert list(source.batches(threading.Event())) == []
    return gathered


def test_metrics_and_the_other_lines() -> None:
    before = time.time()
    got = piped(b"hello\nstep=1 lo", b"ss=1.5\n", b"step=2 loss=2.5\nbye")
    assert got.series["loss"] == [(1, 1.5), (2, 2.5)]
    assert got.texts("log") == ["hello", "bye"]
    assert all(before <= moment <= time.time() for moment in got.times)
    assert got.caught_up
    assert got.ended == ["finished"]
    (run,) = got.runs.values()
    assert (run.name, run.tags["times"]) == ("stdin", "arrival")


def test_a_program_that_ends_with_an_error_has_failed() -> None:
    got = piped(b"step=1 loss=1.5\nTraceback (most recent call last):\n",
                b"  File \"x.py\", line 1, in <module>\nValueError: no\n")
    assert got.texts("error") == ["ValueError: no"]
    assert got.ended == ["failed"]


def test_a_program_that_prints_no_metric_is_a_run_all_the_same() -> None:
    got = piped(b"one\ntwo\n")
    assert got.texts("log") == ["one", "two"]
    assert len(got.runs) == 1


def test_the_phase_is_the_formats() -> None:
    line = (b"(APIServer pid=1) INFO 08-01 21:24:09 [loggers.py:273] Engine 000: Avg prompt "
            b"throughput: 6.8 tokens/s, Avg generation throughput: 10.6 tokens/s, Running: 1 reqs,"
            b" Waiting: 0 reqs, GPU KV cache usage: 0.7%, Prefix cache hit rate: 0.0%\n")
    assert {run.phase for run in piped(line).runs.values()} == {"serve"}


def test_an_echo_that_is_full_gets_everything_all_the_same() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    data, got = os.urandom(1 << 20), bytearray()

    def read() -> None:
        while part := os.read(reading, 1000):
            got.extend(part)

    thread = threading.Thread(target=read)
    thread.start()
    assert write_all(writing, data)
    os.close(writing)
    thread.join()
    os.close(reading)
    assert bytes(got) == data


def test_an_echo_that_nobody_reads_is_left() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert not write_all(writing, b"words")
    os.close(writing)


def test_a_descriptor_beyond_those_of_select_is_read() -> None:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 1100:
        pytest.skip("no such descriptor here")
    reading, writing = os.pipe()
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, 1100), most))
    try:
        high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 1050)
        assert not readable(high, 0.0)
        os.write(writing, b"words")
        assert readable(high, 0.0)
        os.close(high)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        os.close(reading)
        os.close(writing)


def test_a_stdin_that_is_no_pipe_is_refused() -> None:
    _, terminal = os.openpty()
    with pytest.raises(UsageError, match="stdin is no pipe"):
        Pipe(clock=SystemClock(), table=Table(), fd=terminal)
    os.close(terminal)
    with pytest.raises(UsageError, match="stdin is closed"):
        Pipe(clock=SystemClock(), table=Table(), fd=terminal)
