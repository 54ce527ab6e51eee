"""This machine, or the container's share of it: processor, memory, disks, network, pressure."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from llmtop.sources import cgroup
from llmtop.sources.gpu import Reading
from llmtop.sources.kernel_files import integer, pressure, read

KEY = ""
"""The host's own series have no device before their names."""
MAX_CORES = 1024
MAX_DISKS = 8
"""File systems shown: the working folder's and those of the busiest processes."""
MAX_PORTS = 64
"""InfiniBand ports: eight adapters of two ports, four times."""
PRESSURES = {"cpu": "host_cpu_pressure", "memory": "host_memory_pressure",
             "io": "host_io_pressure"}
WORD_BYTES = 4
"""InfiniBand's data counters count words of four octets."""
NEARLY = 0.99
"""A limit of nearly all there is is none."""


class Host:
    """Reads the host; rates need two readings."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Read the kernel's files below `root`."""
        import psutil  # slow to import, and needed by this thread only

        self._psutil, self._root = psutil, root
        self._group = cgroup.find(root)
        self._limits = cgroup.limits(self._group)
        self._cores: list[tuple[float, float]] = []
        self._spent: tuple[float, float] | None = None
        self._disks = Disks()
        self._cards: list[str] = []
        """Network cards that are hardware."""
        self._ports: list[Path] = []

    def read(self, now: float, slow: bool, folders: Iterable[str]) -> Reading:
        """Return what the host does at `now` (monotonic seconds).

        Args:
            now: when.
            slow: look at what hardly changes too.
            folders: where runs write to.
        """
        out = Reading(KEY)
        if slow:
            self._limits = cgroup.limits(self._group)
        used = cgroup.usage(self._group)
        self._processor(out, now, used)
        self._memory(out, used)
        self._traffic(out, slow)
        for name, metric in PRESSURES.items():
            share = self._pressure(name)
            if share is not None:
                out.gauges[metric] = share
        if slow:
            self._disks.look([_here(), *folders])
        out.facts["disks"] = self._disks.found
        return out

    def _processor(self, out: Reading, now: float, used: cgroup.Usage) -> None:
        shares = self._core_shares()
        count = len(self._cores)
        allowed = self._limits.cpus
        limited = allowed is not None and allowed < count * NEARLY
        out.facts["cores"] = [round(100 * share) for share in shares[:MAX_CORES]]
        out.facts["core_count"] = count
        out.facts["core_limit"] = allowed if limited else None
        before, self._spent = self._spent, (
            None if used.cpu_seconds is None else (now, used.cpu_seconds))
        if limited and allowed:
            if before and self._spent and now > before[0]:
                spent = (self._spent[1] - before[1]) / (now - before[0])
                out.gauges["host_cpu_utilization"] = min(max(spent / allowed, 0.0), 1.0)
        elif shares:
            out.gauges["host_cpu_utilization"] = sum(shares) / len(shares)
        try:
            out.gauges["host_load"] = os.getloadavg()[0]
        except OSError:
            return

    def _core_shares(self) -> list[float]:
        """Return how busy each core was since the last call, nothing the first time."""
        times = self._psutil.cpu_times(percpu=True)
        cores = []
        for core in times:
            idle = core.idle + getattr(core, "iowait", 0.0)
            total = sum(core) - getattr(core, "guest", 0.0) - getattr(core, "guest_nice", 0.0)
            cores.append((idle, total))
        before, self._cores = self._cores, cores
        if len(before) != len(cores):
            return []
        return [_busy(then, here) for then, here in zip(before, cores, strict=True)]

    def _memory(self, out: Reading, used: cgroup.Usage) -> None:
        memory, swap = self._psutil.virtual_memory(), self._psutil.swap_memory()
        limit = self._limits.memory_bytes
        limited = limit is not None and limit < memory.total * NEARLY
        out.facts["memory_total"] = limit if limited else memory.total
        out.facts["memory_limited"] = f"cgroup v{self._group.version}" if limited else ""
        taken = used.memory_bytes if limited else memory.total - memory.available
        if taken is not None:
            out.gauges["host_memory_used_bytes"] = float(taken)
        out.facts["swap_total"] = swap.total
        if swap.total:
            out.gauges["host_swap_used_bytes"] = float(swap.used)

    def _traffic(self, out: Reading, slow: bool) -> None:
        disks = self._psutil.disk_io_counters()
        if disks is not None:
            out.totals["host_disk_read_bytes"] = float(disks.read_bytes)
            out.totals["host_disk_written_bytes"] = float(disks.write_bytes)
        cards = self._psutil.net_io_counters(pernic=True)
        if slow:
            places = self._root / "sys/class/net"
            self._cards = [name for name in cards if (places / name / "device").exists()]
            self._ports = ports(self._root)
        counted = [name for name in self._cards if name in cards] or [
            name for name in cards if name != "lo"]
        if counted:
            out.totals["host_network_received_bytes"] = float(
                sum(cards[name].bytes_recv for name in counted))
            out.totals["host_network_sent_bytes"] = float(
                sum(cards[name].bytes_sent for name in counted))
        out.totals.update(infiniband(self._ports))

    def _pressure(self, name: str) -> float | None:
        """Return a pressure of the container where it has its own, else the host's."""
        group = self._group.memory
        if self._group.version == 2 and group is not None and group != self._group.root:
            own = pressure(read(group / f"{name}.pressure"))
            if own is not None:
                return own
        return pressure(read(self._root / "proc/pressure" / name))


def _busy(then: tuple[float, float], here: tuple[float, float]) -> float:
    passed = here[1] - then[1]
    return min(max(1 - (here[0] - then[0]) / passed, 0.0), 1.0) if passed > 0 else 0.0


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def ports(root: Path) -> list[Path]:
    """Return the folders of the InfiniBand ports' counters."""
    return sorted((root / "sys/class/infiniband").glob("*/ports/*/counters"))[:MAX_PORTS]


def infiniband(ports: Iterable[Path]) -> dict[str, float]:
    """Return the bytes received and sent over all InfiniBand ports; nothing without one."""
    found = {}
    for metric, file in (
        ("infiniband_received_bytes", "port_rcv_data"), ("infiniband_sent_bytes", "port_xmit_data"),
    ):  # fmt: skip
        words = [value for at in ports if (value := integer(read(at / file))) is not None]
        if words:
            found[metric] = float(sum(words)) * WORD_BYTES
    return found


class Disks:
    """How full the file systems of some folders are.

    A network file system that does not answer blocks who asks for good, so a thread of its own
    asks; while it hangs, nothing new is said, and that it hangs is.
    """

    def __init__(self) -> None:
        self.found: list[dict[str, object]] = []
        """path, total and used of each."""
        self._asking: threading.Thread | None = None

    def look(self, folders: Iterable[str]) -> None:
        """Ask in the background, unless the last time is not answered yet."""
        if self._asking is not None and self._asking.is_alive():
            self.found = [{**disk, "silent": True} for disk in self.found]
            return
        wanted = list(dict.fromkeys(folder for folder in folders if folder))[: 4 * MAX_DISKS]
        self._asking = threading.Thread(
            target=self._ask, args=(wanted,), name="llmtop-disks", daemon=True
        )
        self._asking.start()

    def _ask(self, folders: list[str]) -> None:
        seen: dict[int, dict[str, object]] = {}
        for folder in folders:
            try:
                device = os.stat(folder).st_dev
                if device in seen or len(seen) >= MAX_DISKS:
                    continue
                room = os.statvfs(folder)
            except OSError:
                continue
            total = room.f_blocks * room.f_frsize
            if total:
                used = total - room.f_bfree * room.f_frsize
                seen[device] = {"path": folder, "total": total, "used": used,
                                "free": room.f_bavail * room.f_frsize}
        self.found = list(seen.values())
