"""A rendezvous directory of its own for every test, and a process without open runs after it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmtop.publish import current, process

LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "LLMTOP_ENDPOINT")


@pytest.fixture(autouse=True)
def rendezvous(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # pytest's own directories can be too long for the path of a socket.
    directory = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    monkeypatch.setenv("LLMTOP_DIR", str(directory))
    monkeypatch.delenv("LLMTOP_OFF", raising=False)
    for variable in LAUNCHERS:
        monkeypatch.delenv(variable, raising=False)
    yield directory
    drain = process._drain
    streams = drain.streams if drain is not None else ()
    for stream in streams:
        stream.session.inbox.close("finished")
        stream.end({"reason": "finished", "text": ""})
        # Nobody listens any more, so that there is no answer to wait for.
        stream._deadline = 0.0
    if drain is not None:
        drain.wake()
    for stream in streams:
        assert stream.ended.wait(15.0)
    current._current = None
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a Python script in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        path = tmp_path / f"script{len(started)}.py"
        path.write_text(source)
        process = subprocess.Popen(
            [sys.executable, str(path), *arguments], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for one in started:
        one.kill()
        one.communicate()
