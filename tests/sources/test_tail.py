"""Log files stay readable through everything that is done to them while a job runs."""

from __future__ import annotations

import gzip
import math
import os
import threading
import time
from pathlib import Path

import pytest

from llmtop.clock import SystemClock
from llmtop.errors import UsageError
from llmtop.formats.table import Table
from llmtop.sources import follow, tail, textlog, wholefile
from llmtop.sources.discover import Discovery
from llmtop.sources.tail import Tail
from llmtop.sources.textlog import CUT, TOO_LONG
from logfiles import Following, Gathered, read_files

PREFIX = "[titan] 2026-02-11 00:54:17,768 - root - INFO - "
TITAN = "step: {}  loss: {}.5  memory: 1.00GiB(2.00%)  tps: 1,000  tflops: 5.0  mfu: 18.0%\n"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlog, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(textlog, "OVERWRITTEN_SECONDS", 0.1)
    monkeypatch.setattr(tail, "RESCAN_SECONDS", 0.1)
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(wholefile, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(wholefile, "RETRY_SECONDS", 0.1)


def steps(first: int, last: int, end: str = "\n") -> str:
    return "".join(f"step={n} loss={n}.5{end}" for n in range(first, last + 1))


def found(*numbers: int) -> list[tuple[int, float]]:
    return [(number, number + 0.5) for number in numbers]


def loss(gathered: Gathered) -> list[tuple[int, float]]:
    return gathered.series.get("loss", [])


def has(count: int) -> object:
    return lambda got: len(loss(got)) >= count


def append(path: Path, text: str | bytes) -> None:
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def begin(path: Path, text: str = "") -> Following:
    path.write_text(text or steps(1, 3), newline="")
    following = Following([path])
    following.caught_up()
    return following


def test_what_is_there_and_what_comes(tmp_path: Path) -> None:
    with begin(tmp_path / "train.log") as following:
        append(tmp_path / "train.log", steps(4, 5))
        assert loss(following.until(has(5))) == found(1, 2, 3, 4, 5)


@pytest.mark.parametrize("told", [None, 0.05])
def test_changes_are_told_or_polled(tmp_path: Path, told: float | None) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 1))
    with Following([path], poll=told) as following:
        following.caught_up()
        for number in range(2, 5):
            append(path, steps(number, number))
            following.until(has(number))


def test_a_change_that_was_not_told_makes_a_folder_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmtop.sources.watch._Waker.dispatch", lambda self, event: None)
    monkeypatch.setattr("llmtop.sources.watch.SWEEP_SECONDS", 0.1)
    path = tmp_path / "a.log"
    path.write_text(steps(1, 1))
    with Following([path], poll=None) as following:
        following.caught_up()
        for number in range(2, 12):
            append(path, steps(number, number))
            following.until(has(number))
            if following.source._watch.polling:
                return
    raise AssertionError("never polled")


def test_a_partial_last_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 2) + "step=3 loss=3") as following:
        append(path, ".5\nstep=4 loss=4.5\n")
        assert loss(following.until(has(4))) == found(1, 2, 3, 4)


def test_a_finished_log_may_lack_its_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 2) + "step=3 loss=3.5")
    os.utime(path, (1e9, 1e9))
    assert loss(read_files([path])) == found(1, 2, 3)


def test_a_line_read_too_early_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 2) + "step=3 loss=3.5")
    os.utime(path, (1e9, 1e9))
    with Following([path]) as following:
        following.caught_up()
        append(path, "999\nstep=4 loss=4.5\n")
        got = following.until(has(4))
    assert loss(got) == found(1, 2, 3, 4)
    assert f"left out: {CUT}" in got.texts("warning")


def test_carriage_returns_and_no_newline_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 3, end="\r")) as following:
        append(path, steps(4, 4, end="\r") + "step=5 loss=5.5")
        assert loss(following.until(has(5))) == found(1, 2, 3, 4, 5)


def test_crlf(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 3, end="\r\n"), newline="")
    assert loss(read_files([path])) == found(1, 2, 3)


def test_colours_and_controls_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(
        b"\x1b[38;2;180;60;0mstep=1\x1b[0m \x1b]0;title\x07loss\x1b[1m=1.5\x1b[0m\n"
        b"\x1b]8;;http://x\x1b\\hello\x1b]8;;\x1b\\ \x08world\x07\n"
    )
    got = read_files([path])
    assert loss(got) == found(1)
    assert got.texts("log") == ["hello world"]


def test_controls_beyond_ascii_are_taken_out_and_words_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("step=1 loss=1.5\na\x9b2Jb\u202ec\u2066 │ déjà 損失 ✓\x85\n", encoding="utf-8")
    assert read_files([path]).texts("log") == ["a2Jbc │ déjà 損失 ✓"]


def test_a_line_of_a_megabyte_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 1) + "x" * (1 << 20) + "\n" + steps(2, 2))
    got = read_files([path])
    assert loss(got) == found(1, 2)
    with begin(tmp_path / "b.log") as following:
        append(tmp_path / "b.log", "y" * (1 << 20) + "\n" + steps(4, 4))
        assert f"left out: {TOO_LONG}" in following.until(has(4)).texts("warning")


def test_three_thousand_lines_of_source_make_no_metric(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    code = "".join(f"    lr = {n} if step == {n} else 0.1  # loss: {n}\n" for n in range(3000))
    path.write_text("import torch\n" + code + TITAN.format(1, 2) + TITAN.format(2, 1))
    got = read_files([path])
    assert got.series["loss"] == [(1, 2.5), (2, 1.5)]
    assert "lr" not in got.series


def test_truncated_and_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 5)) as following:
        path.write_text(steps(1, 2))
        assert loss(following.until(has(7))) == found(1, 2, 3, 4, 5, 1, 2)


def test_truncated_and_grown_beyond_its_old_size_between_two_looks(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 2)) as following:
        path.write_text(steps(11, 19))
        assert loss(following.until(has(11)))[2:] == found(*range(11, 20))


def test_rotated_by_rename(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 3)) as following:
        append(path, steps(4, 4))
        path.rename(tmp_path / "a.log.1")
        path.write_text(steps(5, 6))
        assert loss(following.until(has(6))) == found(1, 2, 3, 4, 5, 6)


def test_rotated_by_copy_and_truncation_then_compressed(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a.log"
    path.parent.mkdir()
    path.write_text(steps(1, 3))
    with Following([path.parent]) as following:
        following.until(has(3))
        old = tmp_path / "runs" / "a.log.1.gz"
        old.write_bytes(gzip.compress(path.read_bytes()))
        path.write_text("")
        append(path, steps(4, 5))
        assert loss(following.until(has(5))) == found(1, 2, 3, 4, 5)
        assert len(following.gathered.runs) == 1


def test_replaced_by_a_longer_copy_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 3)) as following:
        new = tmp_path / "new"
        new.write_text(steps(1, 5))
        new.rename(path)
        assert loss(following.until(has(5))) == found(1, 2, 3, 4, 5)


def test_replaced_by_another_log(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path, steps(1, 3)) as following:
        new = tmp_path / "new"
        new.write_text(steps(7, 9))
        new.rename(path)
        assert loss(following.until(has(6))) == found(1, 2, 3, 7, 8, 9)


def test_json_written_anew_is_read_when_it_is_whole(tmp_path: Path) -> None:
    def state(last: int) -> str:
        rows = ", ".join(f'{{"step": {n}, "loss": {n}.5}}' for n in range(1, last + 1))
        return f'{{"global_step": {last}, "log_history": [{rows}]}}'

    path = tmp_path / "trainer_state.json"
    path.write_text(state(2))
    with Following([path]) as following:
        following.caught_up()
        path.write_text(state(3)[:-20])
        time.sleep(0.3)
        path.write_text(state(4))
        assert loss(following.until(has(4))) == found(1, 2, 3, 4)


def test_a_table_written_in_place_with_a_wider_header(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,loss\n0,1,1.5\n0,2,2.5\n")
    with Following([path]) as following:
        following.caught_up()
        path.write_text("epoch,step,loss,val_loss\n0,1,1.5,\n0,2,2.5,\n0,3,3.5,9.0\n")
        got = following.until(lambda got: "val_loss" in got.series)
        assert loss(got) == found(1, 2, 3)
        assert got.series["val_loss"] == [(3, 9.0)]


def test_two_writers_and_steps_that_go_back(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 2) + "step=1 loss=8.0\n" + steps(3, 3) + "step=2 loss=9.0\n")
    assert loss(read_files([path])) == [(1, 1.5), (2, 2.5), (1, 8.0), (3, 3.5), (2, 9.0)]


def test_copies_that_all_ranks_print_are_one_point(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = [TITAN.format(1, 2).replace("1,000", f"1,00{rank}") for rank in range(8)]
    path.write_text("".join(lines) + TITAN.format(2, 1))
    got = read_files([path])
    assert got.series["loss"] == [(1, 2.5), (2, 1.5)]
    assert len(got.series["tps"]) == 2


def test_ranks_that_are_told_are_ranks_of_one_run(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"[rank{rank}]:{PREFIX}{TITAN.format(1, 2)}" for rank in range(3)))
    runs = read_files([path]).runs.values()
    assert sorted(str(run.rank) for run in runs) == ["0", "1", "2"]
    assert {run.name for run in runs} == {"a"}


def test_a_history_in_many_checkpoints_is_shown_once(tmp_path: Path) -> None:
    for number in (2, 4, 10):
        folder = tmp_path / "out" / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        rows = ", ".join(f'{{"step": {n}, "loss": {n}.5}}' for n in range(1, number + 1))
        (folder / "trainer_state.json").write_text(
            f'{{"global_step": {number}, "log_history": [{rows}]}}'
        )
    with Following([tmp_path]) as following:
        got = following.caught_up()
        assert loss(got) == found(*range(1, 11))
        assert [run.name for run in got.runs.values()] == ["out"]
        newer = tmp_path / "out" / "checkpoint-12"
        newer.mkdir()
        rows = ", ".join(f'{{"step": {n}, "loss": {n}.5}}' for n in range(1, 13))
        (newer / "trainer_state.json").write_text(
            f'{{"global_step": 12, "log_history": [{rows}]}}'
        )
        assert loss(following.until(has(12))) == found(*range(1, 13))
        assert len(following.gathered.runs) == 1


def test_files_that_appear_later(tmp_path: Path) -> None:
    with Following([tmp_path, str(tmp_path / "sub" / "*.jsonl")]) as following:
        got = following.caught_up()
        assert "no metric log there yet" in got.status
        (tmp_path / "a.log").write_text(steps(1, 3))
        following.until(has(3))
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "b.jsonl").write_text('{"step": 4, "loss": 4.5}\n')
        assert loss(following.until(has(4))) == found(1, 2, 3, 4)
        assert sorted(run.name for run in following.gathered.runs.values()) == ["a", "b"]


def test_a_folder_of_other_things_holds_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("loss of time\nstep by step\n" * 50)
    (tmp_path / "model.bin").write_bytes(b"\0" * 1000)
    (tmp_path / "data.log").write_bytes(b"\0\1\2step=1 loss=2\n")
    assert read_files([tmp_path]).runs == {}


def test_deleted_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with begin(path) as following:
        path.unlink()
        following.until(lambda got: "no such file" in got.status)
        path.write_text(steps(7, 8))
        assert loss(following.until(has(5))) == found(1, 2, 3, 7, 8)


def test_a_log_that_is_renamed_is_found_again_and_not_complained_about(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 3))
    with Following([tmp_path]) as following:
        following.caught_up()
        path.rename(tmp_path / "other.log")
        got = following.until(lambda got: len(got.runs) == 2 and len(loss(got)) >= 6)
        append(tmp_path / "other.log", steps(4, 4))
        following.until(lambda got: (4, 4.5) in loss(got))
        following.until(lambda got: got.status == "")
    assert {run.name for run in got.runs.values()} == {"a", "other"}


def test_another_file_that_gets_the_inode_of_a_log_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 3))
    with Following([tmp_path]) as following:
        following.caught_up()
        # A hard link keeps the inode in use, whatever the file system does with free ones.
        kept = tmp_path / "kept.py"
        os.link(path, kept)
        path.unlink()
        kept.rename(tmp_path / "b.log")
        (tmp_path / "b.log").write_text("step=9 loss=9.5\n")
        following.until(lambda got: (9, 9.5) in loss(got))


def test_rotated_in_a_folder_it_is_one_run(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 3))
    with Following([tmp_path]) as following:
        following.caught_up()
        path.rename(tmp_path / "a.log.1")
        path.write_text(steps(4, 5))
        following.until(has(5))
        (tmp_path / "z.log").write_text("step=1 val_loss=1.5\n")
        got = following.until(lambda got: "val_loss" in got.series)
        assert loss(got) == found(1, 2, 3, 4, 5)


def test_a_search_through_many_files_ends_when_it_is_told_to(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.log").write_text("words\n")
    (tmp_path / "00.log").write_text(steps(1, 3))
    stop = threading.Event()
    discovery = Discovery([str(tmp_path)], Table())
    found = discovery.find(set(), stop)
    assert next(found).path.name == "00.log"
    stop.set()
    assert list(found) == []
    assert discovery._tried == {}


def test_a_folder_that_may_not_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(UsageError, match="permission denied"):
        Tail([str(tmp_path / "a.log")], clock=SystemClock(), table=Table())
    monkeypatch.setattr(Path, "is_dir", denied)
    discovery = Discovery([str(tmp_path)], Table())
    assert list(discovery.find(set(), threading.Event())) == []
    assert discovery.problems == {tmp_path: "permission denied"}
    monkeypatch.undo()
    assert list(discovery.find(set(), threading.Event())) == []
    assert discovery.problems == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_is_said_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 1))
    path.chmod(0)
    with Following([path]) as following:
        following.until(lambda got: "permission denied" in got.status)
        path.chmod(0o600)
        following.until(has(1))


def test_a_read_that_is_denied_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 1))
    really, denied = os.open, threading.Event()
    denied.set()

    def open_(name: object, *rest: object, **more: object) -> int:
        if denied.is_set() and str(name) == str(path):
            raise PermissionError(13, "Permission denied")
        return really(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_)
    with Following([path]) as following:
        following.until(lambda got: "permission denied" in got.status)
        denied.clear()
        following.until(has(1))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"\xff\xfe\xc3(\n" + steps(1, 1).encode() + "进度 ▇▇\n".encode())
    got = read_files([path])
    assert loss(got) == found(1)
    assert got.texts("log")[1] == "进度 ▇▇"


def test_a_fifo(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Following([path]) as following:
        following.caught_up()
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, steps(1, 2).encode())
        following.until(has(2))
        os.close(fd)
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, steps(3, 3).encode())
        assert loss(following.until(has(3))) == found(1, 2, 3)
        os.close(fd)


def test_nothing_at_all() -> None:
    got = read_files(["/dev/null"])
    assert got.runs == {}
    assert got.status == "/dev/null: no metric in it yet"


def test_what_is_not_finite_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("step=1 loss=nan\nstep=2 loss=inf\nstep=3 loss=-inf\n")
    values = [value for _, value in loss(read_files([path]))]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


def test_a_finished_log_is_as_old_as_its_file_and_not_alive(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 3))
    os.utime(path, (1e9, 1e9))
    got = read_files([path])
    assert set(got.times) == {1e9}
    assert got.alive == set()
    (run,) = got.runs.values()
    assert run.tags["times"] == "arrival"


def test_a_log_that_grows_is_alive_and_its_points_have_their_time_of_arrival(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.log"
    with begin(path) as following:
        before = time.time()
        append(path, steps(4, 4))
        got = following.until(lambda got: has(4)(got) and got.alive)  # type: ignore[operator]
        assert before <= got.times[-1] <= time.time()


def test_records_without_step_and_time_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    record = (
        "slot print_timing: id  0 | task 0 | \n"
        "prompt eval time =     100.00 ms /    10 tokens (   10.00 ms per token,   100.00 tokens"
        " per second)\n"
        "       eval time =     200.00 ms /    10 tokens (   20.00 ms per token,    50.00 tokens"
        " per second)\n"
        "      total time =     300.00 ms /    20 tokens\n"
    )
    path.write_text(record * 2)
    got = read_files([path])
    assert [value for _, value in got.series["total_ms"]] == [300.0, 300.0]
    steps_of_it = [step for step, _ in got.series["total_ms"]]
    assert steps_of_it == sorted(set(steps_of_it))
    (run,) = got.runs.values()
    assert run.tags["steps"] == "record"


def test_errors_and_tracebacks_are_events(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(
        steps(1, 1) + "Traceback (most recent call last):\n"
        '  File "train.py", line 3, in <module>\n    main()\n'
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"
    )
    assert read_files([path]).texts("error") == [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"
    ]


def test_runs_are_named_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    for name in ("a/train.log", "b/train.log", "c/one.log", "d/one.log"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(steps(1, 1))
    names = sorted(run.name for run in read_files([tmp_path]).runs.values())
    assert names == ["a", "b", "d/one", "one"]


def test_a_large_log_tells_how_far_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 600_000))
    said = []
    source = Tail([str(path)], clock=SystemClock(), table=Table(only="keyvalue"), poll=1.0)
    stop = threading.Event()
    for batch in source.batches(stop):
        said.append(batch.status or "")
        assert batch.samples is None or len(batch.samples) < 200_000
        if len(said) > 2:
            stop.set()
    assert any(text.startswith("reading ") and text.endswith(" %") for text in said)


def test_a_name_that_is_not_there_is_said_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("")
    with pytest.raises(UsageError, match=r"tran\.log'.*did you mean 'train\.log'"):
        Tail([str(tmp_path / "tran.log")], clock=SystemClock(), table=Table())
    with pytest.raises(UsageError, match="no such folder"):
        Tail([str(tmp_path / "no" / "x.log")], clock=SystemClock(), table=Table())


def test_a_source_that_is_begun_again_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(steps(1, 3))
    source = Tail([str(path)], clock=SystemClock(), table=Table(), poll=0.05)
    gathered = Gathered()
    for wanted in (3, 5):
        stop = threading.Event()
        for batch in source.batches(stop):
            gathered.add(batch)
            if len(loss(gathered)) >= wanted:
                stop.set()
        append(path, steps(4, 5))
    assert loss(gathered)[:5] == found(1, 2, 3, 4, 5)


def test_a_log_that_goes_on_after_its_end_is_not_over(tmp_path: Path) -> None:
    log = tmp_path / "hf.log"
    line = "{{'loss': {}, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': {}}}\n"
    end = "{'train_runtime': 9.5, 'train_loss': 2.0, 'epoch': 1.0}\n"
    log.write_text("".join(line.format(3 - i / 10, i / 10) for i in range(10)) + end)
    with Following([log]) as following:
        following.until(lambda seen: seen.ended == ["finished"])
        before = following.gathered.introductions
        with log.open("a") as file:
            file.write(line.format(2.5, 0.1))
        following.until(lambda seen: seen.introductions > before)
