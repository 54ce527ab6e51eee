"""The ports that listen on this machine, with what tells one listener from the next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LISTEN = "0A"
TABLES = ("net/tcp", "net/tcp6")
MAX_ROWS = 65_536
"""Sockets looked at in each table."""
LOOPBACK = {
    "0100007F", "00000000", "0" * 32, "00000000000000000000000001000000",
    "0000000000000000FFFF00000100007F",
}  # fmt: skip
"""127.0.0.1, every address, ::, ::1 and 127.0.0.1 in IPv6, as the kernel writes them."""
ROOT = 0
"""Containers' ports are held open by root."""


def listening(proc: Path = Path("/proc"), user: int | None = None) -> dict[int, str] | None:
    """Return port -> inode of the sockets of this user and of root; None where that is not told."""
    user = os.getuid() if user is None else user
    found: dict[int, str] = {}
    told = False
    for name in TABLES:
        try:
            with (proc / name).open(encoding="ascii", errors="replace") as table:
                told = True
                for row, line in enumerate(table):
                    if row and row <= MAX_ROWS:
                        found.update(_port(line, user))
        except OSError:
            continue
    return found if told else None


def _port(line: str, user: int) -> Iterator[tuple[int, str]]:
    words = line.split()
    if len(words) < 10 or words[3] != LISTEN:
        return
    address, _, port = words[1].partition(":")
    try:
        number, owner = int(port, 16), int(words[7])
    except ValueError:
        return
    if address in LOOPBACK and owner in (user, ROOT):
        yield number, words[9]
