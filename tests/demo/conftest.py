"""A rendezvous directory of its own, so that no monitor of the machine sees what is started."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def rendezvous(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # pytest's own directories can be too long for the path of a socket.
    directory = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    monkeypatch.setenv("LLMTOP_DIR", str(directory))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
