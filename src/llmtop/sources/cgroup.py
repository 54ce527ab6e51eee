"""What the control group this process is in may use: in a container that counts, not the host.

Both versions are understood: v2 has one tree, v1 one tree a controller. A limit of any group
above holds too, so the smallest on the way up is the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmtop.sources.kernel_files import integer, read, table

UNLIMITED = 1 << 60
"""v1 says "no limit" as a number near 2^63."""
MAX_LEVELS = 32


@dataclass(frozen=True, slots=True)
class Group:
    """A control group's files; None where there are none."""

    version: int
    """0 where there are no control groups."""
    memory: Path | None
    cpu: Path | None
    cpu_usage: Path | None
    root: Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed; None where nothing is said."""

    memory_bytes: int | None = None
    swap_bytes: int | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used; None where nothing is said."""

    memory_bytes: int | None = None
    cpu_seconds: float | None = None


def find(root: Path = Path("/")) -> Group:
    """Return the group of this process, below a file system that begins at `root`."""
    top = root / "sys/fs/cgroup"
    places = _membership(read(root / "proc/self/cgroup"))
    if (top / "cgroup.controllers").exists():
        group = _place(top, places.get("", "/"))
        return Group(2, group, group, group, top)
    memory = _controller(top, "memory", places)
    cpu = _controller(top, "cpu", places)
    usage = _controller(top, "cpuacct", places)
    return Group(1 if memory or cpu else 0, memory, cpu, usage, top)


def limits(group: Group) -> Limits:
    """Return the tightest limits on the way up."""
    if group.version == 2:
        return Limits(
            _least(integer(read(at / "memory.max")) for at in _up(group.memory, group.root)),
            _least(integer(read(at / "memory.swap.max")) for at in _up(group.memory, group.root)),
            _fewest(_quota(read(at / "cpu.max").split()) for at in _up(group.cpu, group.root)),
        )
    return Limits(
        _least(
            integer(read(at / "memory.limit_in_bytes")) for at in _up(group.memory, group.root)
        ),
        None,
        _fewest(
            _quota([read(at / "cpu.cfs_quota_us").strip(), read(at / "cpu.cfs_period_us").strip()])
            for at in _up(group.cpu, group.root)
        ),
    )


def usage(group: Group) -> Usage:
    """Return what the group uses; file pages that can be dropped at once do not count."""
    if group.version == 2 and group.memory and group.cpu:
        used = integer(read(group.memory / "memory.current"))
        idle = table(read(group.memory / "memory.stat")).get("inactive_file", 0)
        busy = table(read(group.cpu / "cpu.stat")).get("usage_usec")
        return Usage(_less(used, idle), None if busy is None else busy / 1e6)
    memory = seconds = None
    if group.memory:
        idle = table(read(group.memory / "memory.stat")).get("total_inactive_file", 0)
        memory = _less(integer(read(group.memory / "memory.usage_in_bytes")), idle)
    if group.cpu_usage:
        spent = integer(read(group.cpu_usage / "cpuacct.usage"))
        seconds = None if spent is None else spent / 1e9
    return Usage(memory, seconds)


def _membership(text: str) -> dict[str, str]:
    """Return controller -> path of /proc/self/cgroup; "" is the tree of version 2."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                found[controller] = parts[2]
    return found


def _controller(top: Path, name: str, places: dict[str, str]) -> Path | None:
    tree = top / name
    if name not in places and not tree.is_dir():
        return None
    return _place(tree, places.get(name, "/")) if tree.is_dir() else None


def _place(tree: Path, path: str) -> Path:
    """Return the group's folder; a container sees its own group at the top of the tree."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    inside = tree.joinpath(*parts)
    return inside if inside.is_dir() else tree


def _up(group: Path | None, top: Path) -> Iterator[Path]:
    """Yield a group and those above it."""
    for _ in range(MAX_LEVELS):
        if group is None or group == top.parent:
            return
        yield group
        group = group.parent


def _quota(words: list[str]) -> float | None:
    """Return how many CPUs a quota and a period are worth."""
    if len(words) != 2:
        return None
    quota, period = integer(words[0]), integer(words[1])
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _least(values: Iterator[int | None]) -> int | None:
    return min((v for v in values if v is not None and 0 <= v < UNLIMITED), default=None)


def _fewest(values: Iterator[float | None]) -> float | None:
    return min((v for v in values if v is not None), default=None)


def _less(used: int | None, idle: int) -> int | None:
    return None if used is None else max(0, used - idle)
