"""A run's file gives back what was written to it: once, in order, however it came."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keep.telling import bye, data, defs, event, hello, kinds, loaded, points_in, write
from llmtop.clock import SystemClock
from llmtop.errors import ConfigError
from llmtop.keep.book import Book
from llmtop.keep.fold import NOTHING, Points, fold
from llmtop.keep.listing import list_runs
from llmtop.keep.reading import frames
from llmtop.keep.trim import trim
from llmtop.publish.fold import LARGEST_F32 as F32
from llmtop.sources.intake import Intake
from llmtop.wire import Kind

VALUES = st.floats(allow_nan=False)
POINTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4000), st.integers(-1, 9), VALUES),
    min_size=1, max_size=5,
)  # fmt: skip


@given(st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_comes_back_is_what_was_told_whatever_was_told_twice(
    tmp_path: Path, draw: st.DataObject
) -> None:
    path = tmp_path / "12345678.run"
    path.unlink(missing_ok=True)
    frames = draw.draw(st.lists(st.tuples(st.integers(1, 2), POINTS), max_size=12))
    seqs = {1: 0, 2: 0}
    told = []
    for session, points in frames:
        told.append(data(session, seqs[session], points))
        seqs[session] += 1
    opening = [one for session in (1, 2)
               for one in (hello(session, rank=session), defs(session, "0", "1", "2"))]
    at, pages = 0, [opening]
    while at < len(told):
        # A monitor that was started again is told from somewhere before what is there already.
        again = draw.draw(st.integers(0, at))
        upto = draw.draw(st.integers(at + 1, len(told)))
        pages.append([*opening, *told[again:upto]])
        at = upto
    write(path, *pages)
    wanted = [
        (f"{session:016x}", (sid, float(time), step, value))
        for session, points in frames for sid, time, step, value in points
    ]  # fmt: skip
    found = points_in(path)
    for session in ("0000000000000001", "0000000000000002"):
        for sid in range(3):
            mine = [[point for name, point in some if name == session and point[0] == sid]
                    for some in (found, wanted)]
            assert mine[0] == mine[1]


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    told = [hello(1), defs(1, "0"), data(1, 0, [(0, 1.0, 1, 2.0)]), event(1, 1, "saved"), bye(1)]
    write(path, told)
    before = path.read_bytes()
    book = Book(path, write=True)
    assert not book.write(told, {"name": "other"})
    book.close()
    book = Book(path)
    assert book.summary() == {"name": "run"}
    book.close()
    assert len(path.read_bytes()) == len(before)


def test_what_is_told_anew_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    write(path, [hello(1), defs(1, "0"), data(1, 0, [(0, 1.0, 1, 2.0)]), event(1, 1, "old")],
          [hello(1)._replace(anew=True), defs(1, "0"), data(1, 7, [(0, 2.0, 2, 3.0)])])
    assert points_in(path) == [("0000000000000001", (0, 2.0, 2, 3.0))]
    assert Kind.EVENT not in kinds(path)


def test_a_gap_is_told_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    write(path, [hello(1), defs(1, "0"), data(1, 0, [(0, 1.0, 1, 2.0)])],
          [data(1, 5, [(0, 2.0, 2, 3.0)])])
    assert [point[2] for _, point in points_in(path, lost=4)] == [1, 2]


def test_a_long_run_is_folded_and_keeps_its_shape_and_what_is_recent(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    book = Book(path, write=True)
    book.write([hello(1), defs(1, "loss", "acc")], {})
    step, room = 0, 1 << 20
    for page in range(40):
        told = []
        for seq in range(page * 20, page * 20 + 20):
            points = [(sid, 1e-3 * (step + at), step + at, spike(step + at) + sid)
                      for at in range(50) for sid in (0, 1)]
            step += 50
            told.append(data(1, seq, points))
        book.write(told, {})
        trim(book, room)
        assert book.exact <= room
    book.close()
    assert path.stat().st_size < 3 * room
    [run] = loaded(path).runs
    [loss] = run.find("loss")
    assert (loss.n, loss.first.step, loss.last.step) == (40_000, 0, 39_999)
    assert (loss.max, loss.min) == (1000.0, 0.0)
    assert loss.sum == pytest.approx(1000.0 + sum(1 / (1 + n) for n in range(40_000)) - 1.0 / 778)
    assert kinds(path).count(Kind.DATA) > 200


def spike(step: int) -> float:
    return 1000.0 if step == 777 else 0.0 if step == 39_999 else 1 / (1 + step)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.floats()), min_size=1, max_size=40),
                max_size=12), st.integers(2, 16))
def test_whatever_is_folded_counts_sums_and_extremes_stay(
    pages: list[list[tuple[int, float]]], most: int
) -> None:
    folded, every = NOTHING, [(series, value) for page in pages for series, value in page]
    spread = np.arange(3, dtype=np.uint32)
    step = 0
    for page in pages:
        at = np.arange(step, step + len(page))
        series, value = zip(*page, strict=True)
        points = Points(np.array(series, np.uint32), at * 1.0, at, np.array(value, np.float64))
        folded, step = fold(folded, points, spread, most), step + len(page)
    for series in range(3):
        mine = np.array([value for one, value in every if one == series])
        finite = mine[np.isfinite(mine)]
        rows = folded.rows[folded.rows["series"] == series]
        sound = rows[np.isfinite(rows["min"])]
        assert (rows["n"].sum(), sound["n"].sum()) == (len(mine), len(finite))
        assert len(sound) <= most
        assert (np.diff(sound["t_first"]) > 0).all()
        if len(finite):
            small, large = (np.clip(x, -F32, F32) for x in (finite.min(), finite.max()))
            assert sound["min"].min() == np.float32(small)
            assert sound["max"].max() == np.float32(large)
        bins = folded.bins[folded.bins["series"] == series]
        assert bins["count"].sum() == len(finite)
        ends = folded.ends[folded.ends["first"]["series"] == series]
        assert len(ends) == (len(mine) > 0)
        if len(mine):
            told = [ends["first"]["value"][0], ends["last"]["value"][0]]
            assert np.array_equal(told, [mine[0], mine[-1]], equal_nan=True)


def test_a_distribution_keeps_its_percentiles(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    book = Book(path, write=True)
    book.write([hello(1), defs(1, "ttft_seconds", kind="distribution")], {})
    for seq in range(200):
        points = [(0, seq * 0.1, -1, 0.001 * (1 + (seq * 100 + at) % 1000)) for at in range(100)]
        book.write([data(1, seq, points)], {})
    while trim(book, 1 << 14):
        pass
    book.close()
    [run] = loaded(path).runs
    [ttft] = run.find("ttft_seconds")
    assert ttft.n == 20_000
    assert ttft.quantiles((0.5, 0.99)).values == pytest.approx([0.5, 0.99], rel=0.01)


def test_values_that_are_no_numbers_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    book = Book(path, write=True)
    book.write([hello(1), defs(1, "loss")], {})
    for seq in range(100):
        value = float("nan") if seq % 10 == 3 else 1e300 if seq == 50 else float(seq)
        book.write([data(1, seq, [(0, float(seq), seq, value)])], {})
    while trim(book, 1000):
        pass
    book.close()
    [run] = loaded(path).runs
    [loss] = run.find("loss")
    assert (loss.n, loss.nonfinite) == (100, 10)


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0", b"nonsense" * 100])
def test_what_is_no_run_is_said_in_a_line(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "12345678.run"
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match=r"^\S*12345678\.run: [^\n]*$"):
        Book(path)


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_file_is_read_or_said_in_a_line(
    tmp_path: Path, draw: st.DataObject
) -> None:
    whole, path = tmp_path / "whole.run", tmp_path / "12345678.run"
    if not whole.exists():
        told = [hello(1), defs(1, "0", "1", kind="distribution"), event(1, 1, "saved")]
        told += [data(1, seq, [(0, 1.0, seq, 2.0), (1, 1.0, seq, 0.5)]) for seq in range(50)]
        book = Book(whole, write=True)
        book.write(told, {"name": "run", "state": "live"})
        while trim(book, 1000):
            pass
        book.close()
    content = bytearray(whole.read_bytes())
    written = [at for at, byte in enumerate(content) if byte]
    for at in draw.draw(st.lists(st.sampled_from(written), min_size=1, max_size=8)):
        content[at] = draw.draw(st.integers(0, 255))
    path.write_bytes(content)
    assert len(list_runs(tmp_path)) == 1
    intake = Intake(SystemClock())
    try:
        book = Book(path)
    except ConfigError:
        return
    with suppress(ConfigError):
        for some in frames(book):
            for one in some:
                intake.frame(b"", one)
    book.close()


def test_what_is_no_file_is_said_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    path.mkdir()
    [one] = list_runs(tmp_path)
    assert one.error.startswith(f"{path}: cannot be read: ")
    with pytest.raises(ConfigError, match="cannot be read"):
        Book(tmp_path / "87654321.run")


def test_a_file_of_a_newer_llmtop_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "12345678.run"
    write(path, [hello(1)])
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(ConfigError, match="newer"):
        Book(path, write=True)
