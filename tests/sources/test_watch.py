"""Where the system can tell of changes, it is asked to; elsewhere files are looked at."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from llmtop.sources import watch
from llmtop.sources.watch import Watch, is_remote, mount_type


@pytest.mark.parametrize(("kind", "remote"), [
    ("ext4", False), ("tmpfs", False), ("overlay", False), ("fuseblk", False),
    ("nfs4", True), ("lustre", True), ("fuse.sshfs", True), ("cifs", True),
])  # fmt: skip
def test_file_systems_that_others_write_to(kind: str, remote: bool) -> None:
    assert is_remote(kind) == remote


def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    inner = tmp_path / "my data"
    inner.mkdir()
    escaped = str(inner).replace(" ", "\\040")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {escaped} nfs4 rw 0 0\nodd\n")
    assert mount_type(inner / "a.log", mounts) == "nfs4"
    assert mount_type(tmp_path, mounts) == "ext4"
    assert mount_type(tmp_path, tmp_path / "none") == ""


def test_a_write_wakes_and_a_read_does_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    one, stop = Watch(), threading.Event()
    one.add([tmp_path])
    try:
        assert not one.polling
        path.read_text()
        assert not one.wait(stop, 0.3)
        path.write_text("y")
        assert one.wait(stop, 10.0)
    finally:
        one.close()


def test_a_remote_folder_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "mount_type", lambda path: "nfs")
    one = Watch()
    one.add([tmp_path])
    assert one.polling
    one.close()


def test_a_stop_ends_a_wait() -> None:
    one, stop = Watch(poll=60.0), threading.Event()
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    assert not one.wait(stop, 60.0)
    assert time.monotonic() - began < 30
