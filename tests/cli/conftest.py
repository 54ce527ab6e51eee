"""The command line as a person has it: a subprocess, with a rendezvous directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def rendezvous() -> Iterator[Path]:
    # pytest's own directories can be too long for the path of a socket.
    directory = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def environment(rendezvous: Path, tmp_path: Path) -> dict[str, str]:
    state = str(tmp_path / "state")
    return {**os.environ, "LLMTOP_DIR": str(rendezvous), "COLUMNS": "100", "XDG_STATE_HOME": state}


@pytest.fixture
def llmtop(environment: dict[str, str]) -> Command:
    """Return a function that runs llmtop to its end."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "llmtop", *words], env={**environment, **more},
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip

    return run
