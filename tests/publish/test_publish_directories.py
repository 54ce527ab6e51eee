"""A rendezvous directory that cannot be used, in every way, and what else may lie in a good one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from listener import Listener

import llmtop
from llmtop.errors import SourceError
from llmtop.publish import process
from llmtop.publish.hubs import MAX_HUBS, Hubs, probe
from llmtop.publish.rendezvous import checked_name, directory_name, rendezvous_dir

SCRIPT = """
import llmtop, sys, time
with llmtop.init("r") as run:
    for step in range(50):
        run.log({"a": float(step)}, step=step)
    time.sleep(0.6)
print("done")
"""


def missing(at: Path) -> Path:
    return at / "no" / "such"


def a_file(at: Path) -> Path:
    (at / "file").write_text("x")
    return at / "file"


def below_a_file(at: Path) -> Path:
    return a_file(at) / "dir"


def a_link(at: Path) -> Path:
    (at / "real").mkdir(mode=0o700)
    (at / "link").symlink_to(at / "real")
    return at / "link"


def a_loop(at: Path) -> Path:
    (at / "loop").symlink_to(at / "loop")
    return at / "loop"


def a_fifo(at: Path) -> Path:
    os.mkfifo(at / "fifo")
    return at / "fifo"


def open_to_others(at: Path) -> Path:
    (at / "open").mkdir()
    (at / "open").chmod(0o755)
    return at / "open"


def of_somebody_else(at: Path) -> Path:
    (at / "theirs").mkdir(mode=0o700)
    if os.getuid():
        pytest.skip("only root can give a directory away")
    os.chown(at / "theirs", 1, 1)
    return at / "theirs"


def unreadable(at: Path) -> Path:
    (at / "dark").mkdir(mode=0o000)
    return at / "dark"


def too_long(at: Path) -> Path:
    return at / ("d" * 300)


def too_long_for_a_socket(at: Path) -> Path:
    long = at / ("d" * 120)
    long.mkdir(mode=0o700)
    (long / "mon-1-a.sock").write_text("")
    return long


def of_odd_bytes(at: Path) -> Path:
    return at / os.fsdecode(b"\xff\xfe\n\x1b[31m")


WAYS: list[Callable[[Path], Path]] = [
    missing, a_file, below_a_file, a_link, a_loop, a_fifo, open_to_others, of_somebody_else,
    unreadable, too_long, too_long_for_a_socket, of_odd_bytes,
]  # fmt: skip
REFUSED = {
    missing: "No such file", a_file: "not a directory", below_a_file: "Not a directory",
    a_link: "a link is not followed", a_loop: "a link is not followed", a_fifo: "not a directory",
    open_to_others: "chmod 700", of_somebody_else: "belongs to uid 1", too_long: "too long",
}  # fmt: skip
"""What a person is told of those that a monitor cannot use."""


def test_nothing_is_said_or_raised_whatever_the_directory_is(
    rendezvous: Path, tmp_path: Path
) -> None:
    processes = {}
    for way in WAYS:
        if way is of_somebody_else and os.getuid():
            continue
        at = tmp_path / way.__name__
        at.mkdir()
        processes[way.__name__] = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "LLMTOP_DIR": str(way(at))},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    said = {name: one.communicate(timeout=30) for name, one in processes.items()}
    assert said == dict.fromkeys(processes, ("done\n", ""))
    assert {one.returncode for one in processes.values()} == {0}


@pytest.mark.parametrize("way", REFUSED, ids=lambda way: way.__name__)
def test_a_monitor_is_told_what_is_wrong_with_it(
    way: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMTOP_DIR", str(way(tmp_path)))
    with pytest.raises(SourceError, match=REFUSED[way]) as caught:
        checked_name()
    assert str(caught.value).startswith(directory_name())
    assert rendezvous_dir() is None


def test_no_name_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMTOP_DIR", "")
    assert directory_name() == f"/tmp/llmtop-{os.getuid()}"


def test_a_directory_that_goes_and_comes_back_is_found_again(rendezvous: Path) -> None:
    shutil.rmtree(rendezvous)
    run = llmtop.init()
    run.log({"a": 1.0}, step=0)
    rendezvous.mkdir(mode=0o700)
    with Listener(rendezvous) as hub:
        hub.hear(lambda heard: heard.values("a") == [1.0])
        # As a cleaner of /tmp would: the connection there is goes on.
        shutil.rmtree(rendezvous)
        run.log({"a": 2.0}, step=1)
        hub.hear(lambda heard: heard.values("a") == [1.0, 2.0])
    rendezvous.mkdir(mode=0o700)
    with Listener(rendezvous) as hub:
        heard = hub.hear(lambda heard: len(heard.samples) == 2)
    assert heard.points("a") == [(0, 1.0), (1, 2.0)]


def test_what_else_lies_there_is_left_alone(rendezvous: Path) -> None:
    os.mkfifo(rendezvous / "mon-1-fifo.sock")
    (rendezvous / "mon-2-dir.sock").mkdir()
    (rendezvous / "mon-3-loop.sock").symlink_to("mon-3-loop.sock")
    (rendezvous / "mon-4-file.sock").write_text("")
    (rendezvous / os.fsdecode(b"mon-5-\xff.sock")).write_text("")
    (rendezvous / "notes.txt").write_text("mine")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(rendezvous / "other.sock"))
    before = sorted(os.listdir(rendezvous))
    for name in before:
        os.utime(rendezvous / name, (0, 0), follow_symlinks=False)
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log({"a": 1.0})
        hub.hear(lambda heard: heard.values("a"))
        hubs = Hubs()
        for _ in range(4):
            assert hubs.scan(frozenset()) == {hub.path}
    assert sorted(os.listdir(rendezvous)) == before


def test_a_dead_socket_is_unlinked_once_it_is_old_and_a_young_one_is_not(rendezvous: Path) -> None:
    paths = [rendezvous / f"mon-{age}-{age}.sock" for age in (0, 100)]
    for path in paths:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        assert probe(str(path)) == "dead"
    os.utime(paths[1], (0, 0))
    hubs = Hubs()
    assert [hubs.scan(frozenset()) for _ in range(2)] == [frozenset()] * 2
    assert [path.exists() for path in paths] == [True, False]


def test_no_more_monitors_than_it_can_serve_are_connected_to(rendezvous: Path) -> None:
    listening = []
    for at in range(MAX_HUBS + 5):
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(rendezvous / f"mon-{at:02}-a.sock"))
        one.listen(8)
        listening.append(one)
    try:
        hubs = Hubs()
        live = hubs.scan(frozenset())
        assert len(live) == MAX_HUBS
        gone = Path(min(live))
        gone.unlink()
        assert gone not in hubs.scan(frozenset())
        assert len(hubs.scan(frozenset())) == MAX_HUBS
    finally:
        for one in listening:
            one.close()
    assert process._drain is None or not process._drain.streams
