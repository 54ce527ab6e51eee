"""Tables of numbers that grow, are written anew, and begin again."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import points

from llmtop.formats import csvfile
from llmtop.formats.base import FileReader, Points, Skipped
from llmtop.formats.csvfile import FORMATS
from llmtop.samples import NO_STEP

(CSV,) = FORMATS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def told(reader: FileReader) -> list[Points]:
    return [item for item in reader.read() if isinstance(item, Points)]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write as Lightning's CSVLogger does: sorted columns, CRLF, in place."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in rows for name in row}))
        writer.writeheader()
        writer.writerows(rows)


ROWS: list[dict[str, object]] = [
    {"epoch": 0, "step": 49, "train_loss": 2.5},
    {"epoch": 0, "step": 99, "train_loss": 2.25},
]


def test_empty_cells_are_missing(path: Path) -> None:
    write_rows(path, [*ROWS, {"epoch": 0, "step": 99, "acc": 0.5}])
    assert points(CSV.reader(path).read()) == {
        "epoch": [(49, 0.0), (99, 0.0), (99, 0.0)],
        "train_loss": [(49, 2.5), (99, 2.25)],
        "acc": [(99, 0.5)],
    }


def test_a_wider_header_tells_each_row_once(path: Path) -> None:
    reader = CSV.reader(path)
    write_rows(path, ROWS)
    assert len(told(reader)) == 2
    wide: list[dict[str, object]] = [*ROWS, {"epoch": 1, "step": 149, "acc": 0.5, "val_loss": 2.0}]
    write_rows(path, wide)
    assert told(reader) == [Points({"epoch": 1.0, "acc": 0.5, "val_loss": 2.0}, 149)]
    assert told(reader) == []


def test_a_file_met_while_it_is_written_anew_tells_each_row_once(path: Path) -> None:
    reader = CSV.reader(path)
    write_rows(path, ROWS)
    assert len(told(reader)) == 2
    write_rows(path, [*ROWS, {"epoch": 1, "step": 149, "acc": 0.5}])
    whole = path.read_bytes()
    steps: list[int] = []
    for size in (0, 3, 20, 40, 60, len(whole)):
        path.write_bytes(whole[:size])
        steps += [point.step for point in told(reader)]
    assert steps == [149]


def test_another_run_in_the_same_file_starts_over(path: Path) -> None:
    reader = CSV.reader(path)
    write_rows(path, ROWS)
    assert len(told(reader)) == 2
    write_rows(path, [{"epoch": 0, "step": 49, "train_loss": 9.5}])
    assert told(reader) == [Points({"epoch": 0.0, "train_loss": 9.5}, 49)]


def test_a_partial_row_waits(path: Path) -> None:
    reader = CSV.reader(path)
    path.write_text("step,loss\n1,2.5\n2,2.")
    assert [point.values["loss"] for point in told(reader)] == [2.5]
    with path.open("a") as file:
        file.write("25\n")
    assert [point.values["loss"] for point in told(reader)] == [2.25]


def test_keras_epochs_are_steps_and_may_begin_again(path: Path) -> None:
    path.write_text("epoch,acc,loss\r\n0,0.25,2.5\r\n1,0.5,2.0\r\n0,0.75,1.5\r\n", newline="")
    assert points(CSV.reader(path).read())["loss"] == [(0, 2.5), (1, 2.0), (0, 1.5)]


def test_a_header_repeated_at_a_restart_is_no_row(path: Path) -> None:
    path.write_text("step,train_loss\n10,2.5\nstep,train_loss\n20,2.0\n")
    items = list(CSV.reader(path).read())
    assert items == [Points({"train_loss": 2.5}, 10), Points({"train_loss": 2.0}, 20)]


def test_rows_are_numbered_where_no_column_is_a_step(path: Path) -> None:
    path.write_text("loss\tacc\n2.5\t0.1\n2.0\tnan\n")
    assert [point.step for point in told(CSV.reader(path))] == [0, 1]


def test_time_rank_and_run_have_their_columns(path: Path) -> None:
    path.write_text(
        'run,rank,timestamp,loss\nbase,1,2025-04-13T23:41:20Z,"8,641"\nbase,1,soon,2.5\n'
    )
    first, second = told(CSV.reader(path))
    assert first == Points({"loss": 8641.0}, NO_STEP, 1744587680.0, 1, "base")
    assert second == Points({"loss": 2.5}, NO_STEP, None, 1, "base")


def test_damaged_rows_are_counted(path: Path) -> None:
    path.write_text("step,loss\n1,2.5\n2\n3,2.0,1.0\n\n4,1.5\n")
    items = list(CSV.reader(path).read())
    assert [item.step for item in items if isinstance(item, Points)] == [1, 4]
    assert sum(item.count for item in items if isinstance(item, Skipped)) == 2


def test_a_row_longer_than_a_chunk_is_skipped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfile, "CHUNK", 64)
    reader = CSV.reader(path)
    path.write_text("step,loss\n1,2.5\n2," + "9" * 500)
    assert [point.step for point in told(reader)] == [1]
    with path.open("a") as file:
        file.write("\n3,1.5\n")
    items = list(reader.read())
    assert [type(item) for item in items] == [Skipped, Points]


def test_a_reader_left_between_two_rows_goes_on_there(path: Path) -> None:
    reader = CSV.reader(path)
    path.write_text("step,loss\n" + "".join(f"{i},0.5\n" for i in range(10)))
    first = list(islice(reader.read(), 3))
    rest = list(reader.read())
    assert [item.step for item in (*first, *rest) if isinstance(item, Points)] == list(range(10))


@pytest.mark.parametrize(
    ("head", "table"),
    [
        (b"epoch,step,train_loss\n0,49,\n", True),
        (b"\xef\xbb\xbfstep;loss\r\n1;2.5\r\n", True),
        (b"Wall time,Step,Value\n1744587680.5,10,2.5\n", True),
        (b"loss,acc\n2.5,0.5\n", True),
        (b"sepal,petal\n2.5,0.5\n", False),
        (b"step,prompt,answer\nx,hello,world\n", False),
        (b"step,loss\n", False),
        (b"1,2\n3,4\n", False),
        (b"step,loss\n1,2,3\n", False),
        (b"nothing here\n", False),
        (b"", False),
        (b"{\"step\": 1,\n\"loss\": 2}\n", False),
    ],
)
def test_a_table_is_known_by_its_header_and_a_row(head: bytes, table: bool) -> None:
    assert CSV.sniff(Path("x"), head) is table


cells = st.sampled_from(["", "1", "2.5", "nan", "8,641", "x", 'a"b', "é", "-inf", "3\t4"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=8), st.data())
def test_a_file_cut_at_any_byte_and_continued_tells_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["step", "loss", "acc"], *rows])
    whole = path.read_bytes()
    expected = repr(list(CSV.reader(path).read()))
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    reader = CSV.reader(path)
    found = list(reader.read())
    path.write_bytes(whole)
    assert repr(found + list(reader.read())) == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(head: bytes) -> None:
    CSV.sniff(Path("x"), head)
    CSV.sniff(Path("x"), b"step,loss\n" + head)
