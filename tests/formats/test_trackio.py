"""trackio's database: read beside its writer, in any journal mode, and left as it was."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from growing import only_points, taken_singly
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import items_of_file

from llmtop.formats.base import About, Note, Points, Skipped
from llmtop.formats.trackio import FORMATS, MAGIC, ROWS

(TRACKIO,) = FORMATS
AT = "2026-11-25T19:13:12.500000+00:00"
UNIX = 1795633992.5
SCHEMA = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
    timestamp TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE system_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
    timestamp TEXT NOT NULL, run_name TEXT NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
    run_name TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE alerts (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
    timestamp TEXT NOT NULL, run_name TEXT NOT NULL, title TEXT NOT NULL, text TEXT,
    level TEXT NOT NULL, step INTEGER);
"""


def open_writer(path: Path, mode: str = "wal") -> sqlite3.Connection:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute(f"PRAGMA journal_mode={mode}")
    writer.executescript(SCHEMA)
    return writer


def log(
    writer: sqlite3.Connection, step: int, values: object, run: str = "r", run_id: str = "id"
) -> None:
    writer.execute(
        "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)",
        (run_id, AT, run, step, json.dumps(values).encode()),
    )


@pytest.fixture(params=["wal", "delete"])
def writer(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "p.db", request.param)) as opened:
        yield opened


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_rows_come_once_while_the_writer_goes_on(
    tmp_path: Path, writer: sqlite3.Connection
) -> None:
    path = tmp_path / "p.db"
    log(writer, 0, {"loss": 2.5, "n": {"a": "NaN", "b": "-Infinity"}})
    reader = TRACKIO.reader(path)
    (first,) = only_points(reader.read())
    assert (first.step, first.time, first.run) == (0, UNIX, "r")
    assert first.values["loss"] == 2.5
    assert math.isnan(first.values["n/a"])
    assert first.values["n/b"] == -math.inf
    assert list(reader.read()) == []
    for step in range(1, 4):
        log(writer, step, {"loss": 1.0})
    assert [point.step for point in only_points(reader.read())] == [1, 2, 3]
    assert list(reader.read()) == []


def test_a_row_that_is_not_committed_is_not_there(
    tmp_path: Path, writer: sqlite3.Connection
) -> None:
    log(writer, 0, {"loss": 1.0})
    reader = TRACKIO.reader(tmp_path / "p.db")
    writer.execute("BEGIN IMMEDIATE")
    log(writer, 1, {"loss": 2.0})
    assert [point.step for point in only_points(reader.read())] == [0]
    writer.execute("COMMIT")
    assert [point.step for point in only_points(reader.read())] == [1]


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "p.db", "delete")) as writer:
        log(writer, 0, {"loss": 1.0})
        reader = TRACKIO.reader(tmp_path / "p.db")
        writer.execute("BEGIN EXCLUSIVE")
        assert list(reader.read()) == []
        writer.execute("COMMIT")
        assert [point.step for point in only_points(reader.read())] == [0]


def test_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(open_writer(path)) as writer:
        log(writer, 0, {"loss": 1.0})
    before, data = names(tmp_path), path.read_bytes()
    assert len(items_of_file(TRACKIO, path)) == 1
    assert TRACKIO.sniff(path, data[:1000])
    assert (names(tmp_path), path.read_bytes()) == (before, data)


def test_a_log_without_its_index_is_said(tmp_path: Path) -> None:
    path, copy = tmp_path / "p.db", tmp_path / "copy" / "p.db"
    copy.parent.mkdir()
    with closing(open_writer(path)) as writer:
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        log(writer, 0, {"loss": 1.0})
        copy.write_bytes(path.read_bytes())
        copy.with_name("p.db-wal").write_bytes(path.with_name("p.db-wal").read_bytes())
    assert items_of_file(TRACKIO, copy) == [
        Skipped("rows in a write-ahead log (-wal) without its index (-shm)")
    ]
    assert names(copy.parent) == {"p.db", "p.db-wal"}


def test_settings_system_metrics_alerts_and_two_runs_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(open_writer(path)) as writer:
        log(writer, 0, {"loss": 1.0}, "r", "first-id")
        log(writer, 0, {"loss": 2.0, "img": {"_type": "trackio.image", "x": 1}}, "r", "second-id")
        values = ("first-id", "r", '{"lr": 0.1, "_Username": "u"}', AT)
        writer.execute(
            "INSERT INTO configs (run_id, run_name, config, created_at) VALUES (?, ?, ?, ?)", values
        )
        writer.execute(
            "INSERT INTO system_metrics (run_id, timestamp, run_name, metrics) "
            "VALUES ('first-id', ?, 'r', '{\"gpu/0/temp\": 61}')", (AT,)
        )
        writer.execute(
            "INSERT INTO alerts (run_id, timestamp, run_name, title, text, level, step) "
            "VALUES ('first-id', ?, 'r', 'loss', 'it is high', 'warn', 7)", (AT,)
        )
    assert items_of_file(TRACKIO, path) == [
        About("r", started=UNIX, tags={"lr": 0.1}, run="r"),
        Points({"loss": 1.0}, 0, UNIX, run="r"),
        Points({"loss": 2.0}, 0, UNIX, run="r second-i"),
        Points({"system/gpu/0/temp": 61.0}, time=UNIX, run="r"),
        Note("r: loss: it is high", "warning", 7, UNIX),
    ]


def test_the_first_version_had_a_project_and_no_ids(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, "
            "project_name TEXT NOT NULL, run_name TEXT NOT NULL, step INTEGER NOT NULL, "
            "metrics TEXT NOT NULL)"
        )
        writer.execute(
            "INSERT INTO metrics VALUES (1, ?, 'p', 'r', 3, '{\"loss\": 0.5}')", (AT,)
        )
    assert TRACKIO.sniff(path, path.read_bytes()[:100])
    assert items_of_file(TRACKIO, path) == [Points({"loss": 0.5}, 3, UNIX, run="r")]


def test_more_rows_than_are_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(open_writer(path)) as writer:
        writer.execute("BEGIN")
        for step in range(2 * ROWS + 10):
            log(writer, step, {"loss": step})
        writer.execute("COMMIT")
    found = only_points(taken_singly(TRACKIO.reader(path)))
    assert [point.step for point in found] == list(range(2 * ROWS + 10))


def test_another_database_in_its_place_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(open_writer(path)) as writer:
        for step in range(5):
            log(writer, step, {"loss": 1.0})
    reader = TRACKIO.reader(path)
    assert len(list(reader.read())) == 5
    path.unlink()
    with closing(open_writer(path)) as writer:
        log(writer, 0, {"loss": 9.0})
    assert list(reader.read()) == [Points({"loss": 9.0}, 0, UNIX, run="r")]


def test_a_deleted_run_is_not_told_again(tmp_path: Path, writer: sqlite3.Connection) -> None:
    for step in range(3):
        log(writer, step, {"loss": 1.0})
    reader = TRACKIO.reader(tmp_path / "p.db")
    assert len(list(reader.read())) == 3
    writer.execute("DELETE FROM metrics WHERE id > 1")
    assert list(reader.read()) == []
    log(writer, 3, {"loss": 1.0})
    assert [point.step for point in only_points(reader.read())] == [3]


def test_a_row_that_is_no_json_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    with closing(open_writer(path)) as writer:
        log(writer, 0, [1, 2])
        log(writer, 1, {"loss": 1.0})
    assert items_of_file(TRACKIO, path) == [
        Skipped("a row whose metrics are no JSON"), Points({"loss": 1.0}, 1, UNIX, run="r"),
    ]


@settings(max_examples=40)
@given(st.binary(max_size=3000), st.integers(0, 8191))
def test_no_bytes_are_too_odd(tmp_path_factory, odd: bytes, at: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "odd.db"
    if not (whole := path.with_name("whole.db")).exists():
        with closing(open_writer(whole, "delete")) as writer:
            log(writer, 0, {"loss": 1.0})
    data = whole.read_bytes()
    for damaged in (odd, MAGIC + odd, data[:at] + odd + data[at + len(odd) :], data[:at]):
        path.write_bytes(damaged)
        TRACKIO.sniff(path, damaged)
        reader = TRACKIO.reader(path)
        list(reader.read())
        list(reader.read())


def test_it_is_known_by_its_table(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE metrics (key TEXT, value REAL)")
    assert not TRACKIO.sniff(path, path.read_bytes())
    assert not TRACKIO.sniff(path, b"")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.db"):
        list(TRACKIO.reader(tmp_path / "gone.db").read())


SCRIPT = """
import trackio
trackio.init(project="p", name="real", config={"lr": 0.1})
for step in range(20):
    trackio.log({"loss": 1 / (step + 1), "g": float("nan") if step == 7 else 1.0})
trackio.finish()
"""


@pytest.mark.timeout(120)
def test_what_trackio_writes(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    (path,) = tmp_path.glob("*.db")
    assert TRACKIO.sniff(path, path.read_bytes())
    found = only_points(items_of_file(TRACKIO, path))
    assert [(p.step, p.values["loss"]) for p in found] == [(s, 1 / (s + 1)) for s in range(20)]
    assert [p.step for p in found if math.isnan(p.values["g"])] == [7]
