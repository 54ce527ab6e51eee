"""Whether a process of this machine still lives, so that a stopped one is not called dead."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from llmtop.samples import RunInfo

ENDED_STATES = ("Z", "X", "x")
"""Letters of /proc/<pid>/stat for a process that is over but not reaped yet."""


def birth(pid: int) -> float | None:
    """Return when process `pid` began, in a unit of the platform's; None when it is not there."""
    if Path("/proc/self/stat").exists():
        return _birth_in_proc(pid)
    import psutil  # slow to import, and needed only where there is no /proc

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def _birth_in_proc(pid: int) -> float | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The second field is the command in parentheses and may hold anything, parentheses too.
    fields = stat.rpartition(")")[2].split()
    return None if len(fields) < 20 or fields[0] in ENDED_STATES else float(fields[19])


def local_birth(info: RunInfo) -> float | None:
    """Return the birth of the run's process if it can be watched from here, else None.

    A host of another name, or a process number that means nothing here (a container's), cannot.
    """
    return birth(info.pid) if info.pid and is_here(info.host) else None


def is_here(host: str) -> bool:
    """Tell whether `host` is the name of this machine."""
    return host in (socket.gethostname(), os.uname().nodename)
