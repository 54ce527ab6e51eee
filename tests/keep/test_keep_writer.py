"""The writer: a disk that is full, a file that is damaged while it is written, another monitor."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from keep.telling import data, defs, hello, key, loaded, points_in, write
from llmtop.clock import SystemClock
from llmtop.keep import writer as writers
from llmtop.keep.folder import Locks, paths
from llmtop.keep.limits import Limits
from llmtop.keep.page import Told
from llmtop.keep.writer import Sheet, Writer

PATIENCE = 20.0
SMALL = Limits(size=16 << 20)
FULL = """
import sys
from pathlib import Path
from keep.telling import data, defs, hello
from llmtop.clock import SystemClock
from llmtop.keep import writer as writers
from llmtop.keep.limits import Limits
from llmtop.keep.writer import Sheet, Writer

writers.RETRY_SECONDS = 0.05
writer = Writer(Path(sys.argv[1]), Limits(), SystemClock())
opening = [hello(1), defs(1, "0")]
for line in sys.stdin:
    first, last = map(int, line.split())
    for seq in range(first, last):
        points = [(0, float(seq), seq, float(at)) for at in range(100)]
        writer.put(Sheet(0, {}, [*opening, data(1, seq, points)]))
    while len(writer._sheets) and writer.ok:
        writers.threading.Event().wait(0.01)
    print(writer.state.state, writer.state.reason, flush=True)
writer.close(10.0)
"""


KILLED = """
import sys
from pathlib import Path
from keep.telling import data, defs, hello
from llmtop.keep.book import Book
from llmtop.keep.trim import trim

book = Book(Path(sys.argv[1]), write=True)
for seq in range(int(sys.argv[2]), 1 << 30):
    points = [(0, float(seq % 4000), seq, float(at)) for at in range(200)]
    book.write([hello(1), defs(1, "0"), data(1, seq, points)], {"step": seq})
    trim(book, 1 << 17)
    print(seq, flush=True)
"""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Writer]]:
    monkeypatch.setattr(writers, "RETRY_SECONDS", 0.05)
    made: list[Writer] = []

    def make(folder: Path = tmp_path) -> Writer:
        made.append(Writer(folder, SMALL, SystemClock()))
        return made[-1]

    yield make
    for one in made:
        one.close(PATIENCE)


def sheet(session: int, seq: int, *opening: Told) -> Sheet:
    return Sheet(session, {}, [*opening, data(session, seq, [(0, float(seq), seq, 1.0)])])


def begin(session: int) -> tuple[Told, Told]:
    return hello(session), defs(session, "0")


def test_a_full_disk_is_told_and_runs_stay_in_memory_until_there_is_room(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FULL, str(tmp_path / "runs")], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={"PYTHONPATH": "tests:src"}, cwd=Path(__file__).parents[2],
    )  # fmt: skip

    def put(first: int, last: int) -> str:
        process.stdin.write(f"{first} {last}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    assert put(0, 10) == "ok"
    # A limit on the size of files fails a write as a disk without room does.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (90_000, resource.RLIM_INFINITY))
    told = put(10, 60)
    assert told.startswith("lost")
    assert str(tmp_path / "runs") in told
    assert told.endswith("; runs stay in memory until it can be written")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    until(lambda: put(60, 60) == "ok")
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    [path] = paths(tmp_path / "runs")
    assert [point[2] for _, point in points_in(path)] == [n for n in range(60) for _ in range(100)]


def test_a_kill_at_any_moment_takes_nothing_that_was_written(tmp_path: Path) -> None:
    path, first = tmp_path / "00000001.run", 0
    random = Random(7)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), str(first)], text=True,
            stdout=subprocess.PIPE, env={"PYTHONPATH": "tests:src"},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert process.stdout.readline()
        time.sleep(random.uniform(0.0, 0.1))
        process.kill()
        told = process.stdout.read().split()
        process.wait()
        first = int(told[-1]) + 1 if told else first + 1
        [run] = loaded(path).runs
        [series] = run.find("0")
        # The last one may have been written without being told of.
        assert series.n in (200 * first, 200 * (first + 1))
        first = series.n // 200
        assert (series.first.step, series.last.step) == (0, first - 1)


def test_a_folder_that_cannot_be_made_is_tried_again(start, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file is here")
    writer = start(place / "runs")
    writer.put(sheet(1, 0, *begin(1)))
    until(lambda: not writer.ok)
    assert str(place) in writer.state.reason
    place.unlink()
    until(lambda: writer.ok and paths(place / "runs"))


def test_what_another_monitor_writes_is_left_to_it_and_taken_over(start, tmp_path: Path) -> None:
    code = ("import sys; from pathlib import Path; from llmtop.keep.folder import Locks\n"
            "locks = Locks(Path(sys.argv[1])); print(locks.take(sys.argv[2])); sys.stdin.read()")
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "0000abcd"], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout.readline() == "True\n"
    write(tmp_path / "0000abcd.run", begin(7))
    writer = start()
    writer.put(sheet(7, 0, *begin(7)))
    until(lambda: writer.missed)
    assert set(writer.missed) == {key(7)}
    assert 7 in writer.refused
    other.communicate()
    until(lambda: 7 not in writer.refused)
    writer.put(sheet(7, 1, *begin(7)))
    until(lambda: not writer._sheets)
    assert len(points_in(tmp_path / "0000abcd.run")) == 1


def test_a_file_that_is_damaged_does_not_end_the_keeping(start, tmp_path: Path) -> None:
    writer = start()
    writer.put(sheet(1, 0, *begin(1)))
    until(lambda: paths(tmp_path))
    writer.close(PATIENCE)
    [path] = paths(tmp_path)
    path.write_bytes(b"\0" * path.stat().st_size)
    writer = start()
    writer.put(sheet(1, 1, *begin(1)))
    writer.put(sheet(2, 0, *begin(2)))
    until(lambda: len(paths(tmp_path)) == 3)
    until(lambda: not writer._sheets)
    assert writer.ok
    writer.close(PATIENCE)
    assert path.read_bytes().strip(b"\0") == b""


def test_a_run_that_is_idle_is_closed_into_one_file(
    start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "IDLE_SECONDS", 0.0)
    writer = start()
    writer.put(sheet(1, 0, *begin(1)))
    until(lambda: [path.name for path in tmp_path.iterdir() if path.suffix != ".run"] == ["lock"]
          and not writer._open and paths(tmp_path))
    writer.put(sheet(1, 1))
    until(lambda: not writer._sheets)
    writer.close(PATIENCE)
    [path] = paths(tmp_path)
    assert [point[2] for _, point in points_in(path)] == [0, 1]


def test_more_runs_than_are_held_open_are_written_too(
    start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MAX_OPEN", 2)
    writer = start()
    for seq in range(3):
        for session in range(1, 6):
            writer.put(sheet(session, seq, *begin(session)))
    until(lambda: not writer._sheets)
    assert len(writer._open) == 2
    writer.close(PATIENCE)
    assert len(paths(tmp_path)) == 5
    for path in paths(tmp_path):
        assert [point[2] for _, point in points_in(path)] == [0, 1, 2]


def test_locks_are_of_one_run_each(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    assert locks.take("00000001")
    code = ("import sys, json; from pathlib import Path; from llmtop.keep.folder import busy\n"
            "print(json.dumps(sorted(busy(Path(sys.argv[1]), ['00000001', '00000002']))))")
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True,
                          text=True, check=True)
    assert json.loads(told.stdout) == ["00000001"]
    locks.close()
