"""The processes worth a line: those on a GPU, then the busiest, each with its workers as one tree.

A training process and its DataLoader workers are one job to a person. Memory that forked workers
share is counted once by PSS, but asking for it makes the kernel walk the page tables under the
lock that the process allocates with: it is asked for rarely, and of small enough processes only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from llmtop.sources.gpu import Reading
from llmtop.sources.kernel_files import integer, read, table

MAX_LOOKED_AT = 16_384
"""Processes read of one machine: 30 ms for 2000 of them."""
MAX_ROWS = 64
MAX_OTHERS = 16
"""Rows of processes that use no GPU: a screen of them."""
MAX_MEMBERS = 256
"""Processes of one tree told by number: a node's worth of workers."""
MAX_COMMAND_CHARS = 400
LEAST_RSS_BYTES = 64 << 20
LEAST_CPU = 0.05
"""Processes below both are not shown: they are the machine's own."""
PSS_SECONDS = 60.0
PSS_RSS_BYTES = 16 << 30
"""A larger process is not asked for its PSS."""
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
WORKER = "pt_data_"
"""Beginning of the name that a DataLoader gives its workers."""


class Stat(NamedTuple):
    """One process, from /proc/<pid>/stat."""

    pid: int
    parent: int
    name: str
    session: int
    cpu_seconds: float
    rss_bytes: int
    born: int


@dataclass(slots=True)
class _Before:
    """What a tree had used at the last look."""

    cpu: float
    read: int
    written: int


def parse_stat(text: str) -> Stat | None:
    """Return what a line of /proc/<pid>/stat says, None if it is none.

    The name is in parentheses and may hold anything, parentheses too.
    """
    head, _, tail = text.rpartition(")")
    number, _, name = head.partition("(")
    fields = tail.split()
    pid = integer(number)
    if pid is None or len(fields) < 22:
        return None
    wanted = [integer(fields[at]) for at in (1, 3, 11, 12, 21, 19)]
    if any(value is None for value in wanted):
        return None
    parent, session, user, system, pages, born = (value or 0 for value in wanted)
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return Stat(pid, parent, clean, session, (user + system) / TICKS, pages * PAGE, born)


class ProcessTable:
    """Reads the processes; rates need two looks."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Read /proc below `root`."""
        self._proc = root / "proc"
        self._before: dict[tuple[int, int], _Before] = {}
        self._looked: float | None = None
        self._said: dict[str, Stat] = {}
        """By line of /proc/<pid>/stat, what it says."""
        self._pss: dict[tuple[int, int], tuple[float, int]] = {}
        self._users: dict[int, str] = {}
        self.folders: list[str] = []
        """Working folders of the processes shown."""

    def look(self, now: float, devices: Sequence[Reading]) -> list[dict[str, object]]:
        """Return a row a tree, those on a GPU first, as plain JSON values."""
        stats = self._stats()
        on_gpu = _on_gpus(devices)
        trees = _trees(stats, on_gpu)
        passed = None if self._looked is None else now - self._looked
        rows = [self._row(stats, pid, trees.get(pid, []), on_gpu.get(pid, {}), now, passed)
                for pid in _worth(stats, trees, on_gpu, self._before, passed)]
        self._before = {
            (pid, stats[pid].born): self._usage(stats, members, pid in on_gpu)
            for pid, members in trees.items()
        }
        self._looked = now
        known = {(pid, stats[pid].born) for pid in trees}
        self._pss = {key: value for key, value in self._pss.items() if key in known}
        self.folders = [folder for row in rows if (folder := self._folder(row["pid"]))]
        return rows

    def _stats(self) -> dict[int, Stat]:
        try:
            names = [name for name in os.listdir(self._proc) if name.isdigit()][:MAX_LOOKED_AT]
        except OSError:
            return {}
        before, self._said = self._said, {}
        for name in names:
            text = read(f"{self._proc}/{name}/stat")
            # Most processes sleep, and say what they said the last time.
            stat = found if (found := before.get(text)) else parse_stat(text)
            if stat is not None:
                self._said[text] = stat
        return {stat.pid: stat for stat in self._said.values()}

    def _row(
        self, stats: Mapping[int, Stat], pid: int, members: list[int],
        gpus: Mapping[str, object], now: float, passed: float | None,
    ) -> dict[str, object]:  # fmt: skip
        if pid not in stats:
            # The driver counts processes of other containers by numbers that mean nothing here.
            return {"pid": pid, "here": False, "gpus": dict(gpus)}
        root = stats[pid]
        used = self._usage(stats, members, bool(gpus))
        before = self._before.get((pid, root.born))
        row: dict[str, object] = {
            "pid": pid, "here": True, "gpus": dict(gpus), "name": root.name,
            "command": self._command(pid) or root.name, "user": self._user(pid),
            "rss": root.rss_bytes, "tree_rss": sum(stats[m].rss_bytes for m in members),
            "shared": self._shared(members), "pss": self._tree_pss(stats, root, members, now),
            "members": members[:MAX_MEMBERS], "count": len(members), "files": self._files(pid),
        }  # fmt: skip
        if before is not None and passed:
            row["cpu"] = max(0.0, used.cpu - before.cpu) / passed
            row["read"] = max(0, used.read - before.read) / passed
            row["written"] = max(0, used.written - before.written) / passed
        return row

    def _usage(self, stats: Mapping[int, Stat], members: list[int], io: bool) -> _Before:
        """Return what a tree has used; its files' traffic only of trees on a GPU."""
        cpu = sum(stats[member].cpu_seconds for member in members)
        counts = [table(read(f"{self._proc}/{m}/io").replace(":", ""))
                  for m in (members[:MAX_MEMBERS] if io else ())]
        return _Before(cpu, sum(c.get("read_bytes", 0) for c in counts),
                       sum(c.get("write_bytes", 0) for c in counts))

    def _command(self, pid: int) -> str:
        words = read(f"{self._proc}/{pid}/cmdline")[:MAX_COMMAND_CHARS].replace("\0", " ").strip()
        return "".join(c if c.isprintable() else "?" for c in words)

    def _user(self, pid: int) -> str:
        try:
            number = os.stat(self._proc / str(pid)).st_uid
        except OSError:
            return ""
        if number not in self._users:
            self._users[number] = _user_name(number)
        return self._users[number]

    def _shared(self, members: Iterable[int]) -> int:
        """Return the memory of a tree that is shared, counted once: its largest member's."""
        found = [read(f"{self._proc}/{member}/statm").split() for member in members]
        pages = [integer(words[2]) or 0 for words in found if len(words) > 2]
        return max(pages, default=0) * PAGE

    def _tree_pss(
        self, stats: Mapping[int, Stat], root: Stat, members: list[int], now: float
    ) -> int | None:
        """Return the proportional memory of a tree with workers, None where it is not asked."""
        small = all(stats[member].rss_bytes <= PSS_RSS_BYTES for member in members)
        if len(members) < 2 or len(members) > MAX_MEMBERS or not small:
            return None
        key = (root.pid, root.born)
        asked, value = self._pss.get(key, (-PSS_SECONDS, -1))
        if now - asked >= PSS_SECONDS:
            parts = [_pss(read(f"{self._proc}/{member}/smaps_rollup")) for member in members]
            known = [part for part in parts if part is not None]
            value = sum(known) if len(known) == len(parts) else -1
            self._pss[key] = (now, value)
        return value if value >= 0 else None

    def _files(self, pid: int) -> int | None:
        try:
            return len(os.listdir(self._proc / str(pid) / "fd"))
        except OSError:
            return None

    def _folder(self, pid: object) -> str:
        try:
            return os.readlink(self._proc / str(pid) / "cwd")
        except OSError:
            return ""


def _pss(text: str) -> int | None:
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name == "Pss":
            kib = integer(rest.replace("kB", ""))
            return None if kib is None else kib * 1024
    return None


def _user_name(number: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return str(number)


def _on_gpus(devices: Sequence[Reading]) -> dict[int, dict[str, object]]:
    """Return pid -> device -> its memory and share of the device's time."""
    found: dict[int, dict[str, object]] = {}
    for device in devices:
        for process in device.processes:
            found.setdefault(process.pid, {})[device.key] = {
                "memory": process.memory_bytes, "utilization": process.utilization,
            }  # fmt: skip
    return found


def _trees(stats: Mapping[int, Stat], on_gpu: Mapping[int, object]) -> dict[int, list[int]]:
    """Return root -> its processes, the root first; every process is in one tree."""
    roots: dict[int, int] = {}

    def root_of(pid: int) -> int:
        path = []
        while pid not in roots:
            path.append(pid)
            here, above = stats[pid], stats.get(stats[pid].parent)
            if pid in on_gpu or above is None or above.pid in path or not _belongs(here, above):
                roots[pid] = pid
                break
            pid = above.pid
        for passed in path:
            roots[passed] = roots[pid]
        return roots[pid]

    trees: dict[int, list[int]] = {}
    for pid in sorted(stats):
        trees.setdefault(root_of(pid), []).append(pid)
    return {root: [root, *(pid for pid in members if pid != root)]
            for root, members in trees.items()}


def _belongs(here: Stat, above: Stat) -> bool:
    """Tell whether a process is a worker of its parent: a fork of it, in its session."""
    return above.pid > 1 and here.session == above.session and (
        here.name == above.name or here.name.startswith(WORKER))


def _worth(
    stats: Mapping[int, Stat], trees: Mapping[int, list[int]], on_gpu: Mapping[int, object],
    before: Mapping[tuple[int, int], _Before], passed: float | None,
) -> list[int]:  # fmt: skip
    """Return the roots worth a row, those on a GPU first, each kind by what it uses."""
    size = {root: sum(stats[m].rss_bytes for m in members) for root, members in trees.items()}

    def busy(root: int) -> float:
        then = before.get((root, stats[root].born))
        if then is None or not passed:
            return 0.0
        return max(0.0, sum(stats[m].cpu_seconds for m in trees[root]) - then.cpu) / passed

    first = sorted(on_gpu, key=lambda pid: (-size.get(pid, 0), pid))
    share = {root: busy(root) for root in trees if root not in on_gpu and root != os.getpid()}
    others = [root for root, cpu in share.items()
              if size[root] >= LEAST_RSS_BYTES or cpu >= LEAST_CPU]
    others.sort(key=lambda root: (-round(share[root], 1), -size[root], root))
    return [*first[: MAX_ROWS - MAX_OTHERS], *others[:MAX_OTHERS]]
