"""The host source: the kernel's files as containers and hosts have them, and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.sources import cgroup
from llmtop.sources.gpu import GpuProcess, Reading
from llmtop.sources.host import Disks, Host, infiniband, ports
from llmtop.sources.kernel_files import integer, pressure, table
from llmtop.sources.processes_table import ProcessTable, parse_stat

GIB = 1 << 30


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_the_limits_of_a_v2_container_are_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    lay(tmp_path, {
        "proc/self/cgroup": "0::/pod/app\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
        "sys/fs/cgroup/pod/memory.max": f"{8 * GIB}\n",
        "sys/fs/cgroup/pod/cpu.max": "max 100000\n",
        "sys/fs/cgroup/pod/app/memory.max": "max\n",
        "sys/fs/cgroup/pod/app/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/pod/app/memory.current": f"{5 * GIB}\n",
        "sys/fs/cgroup/pod/app/memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
        "sys/fs/cgroup/pod/app/cpu.stat": "usage_usec 2500000\n",
    })
    group = cgroup.find(tmp_path)
    assert group.version == 2
    assert cgroup.limits(group) == cgroup.Limits(8 * GIB, None, 2.5)
    assert cgroup.usage(group) == cgroup.Usage(3 * GIB, 2.5)


def test_the_limits_of_a_v1_container(tmp_path: Path) -> None:
    lay(tmp_path, {
        "proc/self/cgroup": "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {GIB}\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpuacct/cpuacct.usage": "1500000000\n",
    })
    group = cgroup.find(tmp_path)
    assert group.version == 1, "the container sees its own group at the top of each tree"
    assert cgroup.limits(group) == cgroup.Limits(4 * GIB, None, 4.0)
    assert cgroup.usage(group) == cgroup.Usage(2 * GIB, 1.5)


@pytest.mark.parametrize("files", [
    {}, {"proc/self/cgroup": "0::/\n"},
    {"proc/self/cgroup": "nonsense", "sys/fs/cgroup/cgroup.controllers": "",
     "sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/cpu.max": "x y z"},
    {"proc/self/cgroup": "4:memory:/../../etc\n",
     "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
     "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n"},
])  # fmt: skip
def test_where_nothing_is_limited(tmp_path: Path, files: dict[str, str]) -> None:
    lay(tmp_path, files)
    assert cgroup.limits(cgroup.find(tmp_path)) == cgroup.Limits()


def test_a_containers_share_counts_not_the_hosts(tmp_path: Path) -> None:
    lay(tmp_path, {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
        "sys/fs/cgroup/memory.max": f"{GIB}\n",
        "sys/fs/cgroup/cpu.max": "50000 100000\n",
        "sys/fs/cgroup/memory.current": f"{GIB // 4}\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 1000000\n",
    })
    host = Host(tmp_path)
    host.read(10.0, True, [])
    lay(tmp_path, {"sys/fs/cgroup/cpu.stat": "usage_usec 1250000\n"})
    reading = host.read(11.0, False, [])
    assert reading.gauges["host_cpu_utilization"] == pytest.approx(0.5)
    assert reading.gauges["host_memory_used_bytes"] == GIB // 4
    assert reading.facts["memory_total"] == GIB
    assert reading.facts["memory_limited"] == "cgroup v2"
    assert reading.facts["core_limit"] == 0.5


def test_the_real_host() -> None:
    host = Host()
    host.read(time.monotonic(), True, [])
    reading = host.read(time.monotonic() + 1, False, [])
    assert 0 <= reading.gauges["host_cpu_utilization"] <= 1
    total = reading.facts["memory_total"]
    assert isinstance(total, int)
    assert 0 < reading.gauges["host_memory_used_bytes"] <= total
    assert reading.facts["core_count"] == os.cpu_count()


def test_infiniband_counts_words(tmp_path: Path) -> None:
    assert infiniband(ports(tmp_path)) == {}
    lay(tmp_path, {
        "sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data": "100\n",
        "sys/class/infiniband/mlx5_0/ports/1/counters/port_xmit_data": "10\n",
        "sys/class/infiniband/mlx5_1/ports/1/counters/port_rcv_data": "1\n",
        "sys/class/infiniband/mlx5_1/ports/1/counters/port_xmit_data": "N/A\n",
    })
    assert infiniband(ports(tmp_path)) == {
        "infiniband_received_bytes": 404.0, "infiniband_sent_bytes": 40.0}


def test_pressure_is_a_share() -> None:
    text = ("some avg10=24.03 avg60=24.58 avg300=24.65 total=262567570\n"
            "full avg10=1.00 avg60=0.00 avg300=0.00 total=0\n")
    assert pressure(text) == pytest.approx(0.2403)
    assert [integer(word) for word in ("7\n", "-1", "--1", "", "1.5", "9" * 30)] == [
        7, -1, None, None, None, None]
    for odd in ("", "full avg10=1.00", "some avg10=", "some avg10=nan", "some avg60=1"):
        assert pressure(odd) is None


@given(st.text())
def test_no_text_of_the_kernel_breaks_a_parser(text: str) -> None:
    share = pressure("some " + text)
    assert share is None or 0 <= share <= 1
    assert all(isinstance(value, int) for value in table(text).values())
    assert integer(text) is None or text.strip().lstrip("-").isdigit()
    parse_stat(text)


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=15), st.integers(1, 1 << 22))
def test_a_process_may_be_called_anything(name: str, pid: int) -> None:
    line = f"{pid} ({name}) S 1 {pid} 77 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 999 1 64 0 0"
    stat = parse_stat(line)
    assert stat is not None
    assert (stat.pid, stat.parent, stat.session, stat.born) == (pid, 1, 77, 999)
    assert stat.cpu_seconds == pytest.approx(300 / os.sysconf("SC_CLK_TCK"))
    assert stat.rss_bytes == 64 * os.sysconf("SC_PAGE_SIZE")
    assert stat.name.isprintable() or not stat.name


def test_disks_of_some_folders_once_a_file_system(tmp_path: Path) -> None:
    disks = Disks()
    disks.look([str(tmp_path), str(tmp_path / "nothing"), str(tmp_path.parent)])
    assert disks._asking is not None
    disks._asking.join(10)
    (found,) = disks.found
    assert found["path"] == str(tmp_path)
    room = os.statvfs(tmp_path)
    assert found["total"] == room.f_blocks * room.f_frsize


FAMILY = """
import os, sys
ballast = bytearray(40 << 20)
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        break
    children.append(child)
os.write(1, b"ready\\n")  # Whole, whoever else writes.
sys.stdin.read()
"""


def test_a_job_and_its_workers_are_one_tree() -> None:
    job = subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert job.stdout is not None
        for _ in range(3):
            assert job.stdout.readline() == b"ready\n"
        device = Reading("gpu0", processes=[GpuProcess(job.pid, 5 * GIB, 0.5)])
        table = ProcessTable()
        table.look(10.0, [device])
        rows = table.look(12.0, [device])
        assert rows[0]["pid"] == job.pid
        row = rows[0]
        assert row["count"] == 3
        rss, tree, pss = row["rss"], row["tree_rss"], row["pss"]
        assert isinstance(rss, int)
        assert isinstance(tree, int)
        assert rss > 40 << 20
        assert tree > rss
        if pss is not None:  # asked of the kernel, which may not tell
            assert isinstance(pss, int)
            assert pss < tree, "what the workers share is counted once"
        assert isinstance(row["cpu"], float)
        assert row["gpus"] == {"gpu0": {"memory": 5 * GIB, "utilization": 0.5}}
        assert sys.executable in str(row["command"])
        assert os.getcwd() in table.folders
    finally:
        job.communicate()


def test_a_worker_on_a_gpu_is_a_job_of_its_own() -> None:
    job = subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert job.stdout is not None
        for _ in range(3):
            job.stdout.readline()
        alone = Reading("gpu0", processes=[GpuProcess(job.pid, GIB)])
        (first, *_) = ProcessTable().look(1.0, [alone])
        members = first["members"]
        assert isinstance(members, list)
        ranks = [Reading("gpu0", processes=[GpuProcess(members[1], GIB)]),
                 Reading("gpu1", processes=[GpuProcess(members[2], GIB)])]
        rows = {row["pid"]: row for row in ProcessTable().look(1.0, ranks) if row["gpus"]}
        assert set(rows) == set(members[1:])
        assert all(row["count"] == 1 for row in rows.values())
    finally:
        job.communicate()
