"""A rendezvous directory of its own for every test, and a process without open runs after it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
    for stream in drain.streams if drain is not None else ():
        process.finish(stream, {"reason": "finished", "text": ""})
    current._current = None
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[object]:
    """Return a function that starts a Python script in a process of its own."""
    import subprocess

    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
        path = tmp_path / "script.py"
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
