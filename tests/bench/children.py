"""Processes that are measured, and their environment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
TOLD = "result: "
PAGE = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def rendezvous() -> Iterator[dict[str, str]]:
    """An environment in which nothing of this machine's user is seen or left behind."""
    with TemporaryDirectory(prefix="bench-") as place:
        meet = Path(place, "meet")
        meet.mkdir(mode=0o700)
        # Installed programs start from compiled files; a process that may write none compiles anew.
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        yield {
            **inherited, "LLMTOP_DIR": str(meet), "HOME": place, "TRACKIO_DIR": place,
            "WANDB_DIR": place, "WANDB_SILENT": "true", "XDG_CONFIG_HOME": place,
        }


def start(module: str, *words: str, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start `python -m tests.bench.<module>` with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{module}", *words], cwd=ROOT, env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )


def answer(module: str, *words: str, env: Mapping[str, str], timeout: float = 300) -> str:
    """Return what `python -m tests.bench.<module>` says by `tell`, "" if it fails."""
    with start(module, *words, env=env) as process:
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            return ""
    told = [line for line in out.splitlines() if line.startswith(TOLD)]
    return told[-1].removeprefix(TOLD) if told and process.returncode == 0 else ""


def tell(*words: object) -> None:
    """Say the result to the parent; loggers print lines of their own."""
    print(TOLD + " ".join(map(str, words)), flush=True)


def free_address() -> str:
    """Return an address on loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def end(process: subprocess.Popen[str]) -> None:
    """End a child, whatever state it is in."""
    with suppress(ProcessLookupError):
        process.kill()
    process.communicate()


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int | str = "self") -> float:
    """Return resident memory in MB (10**6 bytes)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * PAGE / 1e6
