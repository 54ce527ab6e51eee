"""Processes beside the one under test, and where they listen."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def publisher(environment: dict[str, str], script: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has logged, and waits for lines on its stdin."""
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "logged\n"
        yield process
    finally:
        process.kill()
        process.communicate()
