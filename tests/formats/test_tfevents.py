"""TensorBoard event files: what the writers write, cut, damaged and restarted."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from growing import grown, only_points, taken_singly
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import field
from reading import items_of_file, points

from llmtop.formats.base import Item, Points, Skipped
from llmtop.formats.crc32c import BLOCK, crc32c, masked_crc32c
from llmtop.formats.tfevents import FORMATS
from llmtop.formats.tfrecord import MAX_RECORD_BYTES

(TFEVENTS,) = FORMATS


def record(data: bytes) -> bytes:
    """Return `data` framed as a TFRecord."""
    length = struct.pack("<Q", len(data))
    crcs = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    return length + crcs[0] + data + crcs[1]


def event(step: int, *values: bytes, time: float = 1.7e9) -> bytes:
    """Return the record of an event with a summary of `values`."""
    counted = field(2, step) if step else b""
    summary = field(5, b"".join(field(1, value) for value in values))
    return record(field(1, time) + counted + summary)


def simple(tag: str, value: float) -> bytes:
    """Return a value as TensorFlow 1 and torch write it."""
    return field(1, tag) + b"\x15" + struct.pack("<f", value)


def tensor(tag: str, dtype: int, *parts: bytes, plugin: str = "scalars") -> bytes:
    """Return a value as TensorFlow 2 writes it."""
    return (
        field(1, tag) + field(8, field(1, dtype) + b"".join(parts))
        + field(9, field(1, field(1, plugin)))
    )


START = record(field(1, 1.7e9) + field(3, "brain.Event:2"))


def file_of(*records: bytes) -> bytes:
    return START + b"".join(records)


def read(path: Path, data: bytes) -> list[Item]:
    path.write_bytes(data)
    return items_of_file(TFEVENTS, path)


def slow_crc32c(data: bytes) -> int:
    """Return CRC-32C a bit at a time, as its definition says."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_crc32c_is_the_published_one() -> None:
    assert crc32c(np.frombuffer(b"123456789", np.uint8)[np.newaxis])[0] == 0xE3069283


@given(st.sampled_from([0, 1, 2, 3, 4, 5, 60, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 3, 2500]),
       st.randoms(use_true_random=False))
def test_crc32c_of_any_length(length: int, random) -> None:  # type: ignore[no-untyped-def]
    data = random.randbytes(length)
    rows = np.frombuffer(data + data[::-1], np.uint8).reshape(2, length)
    assert crc32c(rows).tolist() == [slow_crc32c(data), slow_crc32c(data[::-1])]


def test_scalars_of_tensorflow_1_and_torch(tmp_path: Path) -> None:
    data = file_of(
        event(0, simple("train/loss", 2.5), time=1.7e9 + 0.5),
        event(300, simple("train/loss", float("nan")), simple("lr", 0.5)),
        event(2**40, simple("train/loss", float("inf"))),
    )
    found = only_points(read(tmp_path / "e", data))
    assert found[0] == Points({"train/loss": 2.5}, 0, 1.7e9 + 0.5)
    assert found[1].step == 300
    assert list(found[1].values) == ["train/loss", "lr"]
    assert math.isnan(found[1].values["train/loss"])
    assert found[2] == Points({"train/loss": float("inf")}, 2**40, 1.7e9)


@pytest.mark.parametrize(
    ("dtype", "part", "value"),
    [
        (1, field(4, struct.pack("<f", 0.25)), 0.25),
        (2, field(4, struct.pack("<d", 0.1)), 0.1),
        (3, field(4, struct.pack("<i", -7)), -7.0),
        (9, field(4, struct.pack("<q", 1 << 40)), float(1 << 40)),
        (14, field(4, struct.pack("<f", 1.5)[2:]), 1.5),
        (19, field(4, struct.pack("<e", 1.5)), 1.5),
        (1, field(5, struct.pack("<f", 0.25)), 0.25),
        (1, b"\x2d" + struct.pack("<f", 0.25), 0.25),
        (2, field(6, struct.pack("<d", 0.1)), 0.1),
        (3, field(7, b"\x05"), 5.0),
        (3, field(7, 5), 5.0),
        (9, field(10, -3), -3.0),
        (19, field(13, int.from_bytes(struct.pack("<e", 1.5), "little")), 1.5),
        (1, field(2, field(2, field(1, 1))) + field(5, struct.pack("<f", 0.25)), 0.25),
    ],
)
def test_tensors_of_one_number(tmp_path: Path, dtype: int, part: bytes, value: float) -> None:
    found = read(tmp_path / "e", file_of(event(4, tensor("loss", dtype, part))))
    assert found == [Points({"loss": value}, 4, 1.7e9)]


@pytest.mark.parametrize(
    "value",
    [
        tensor("text", 7, field(8, b"hello"), plugin="text"),
        tensor("pr", 1, field(2, field(2, field(1, 6))), field(4, b"\0" * 24)),
        tensor("two", 1, field(5, struct.pack("<2f", 1, 2))),
        tensor("hparams", 1, field(5, struct.pack("<f", 1)), plugin="hparams"),
        tensor("odd", 1, field(4, b"\0\0\0")),
        field(1, "histogram") + field(5, field(1, 0.0)),
        field(1, "image") + field(4, field(4, b"png")),
    ],
)
def test_what_is_no_scalar_is_passed_over(tmp_path: Path, value: bytes) -> None:
    found = read(tmp_path / "e", file_of(event(1, value), event(2, simple("loss", 1.0))))
    assert found == [Points({"loss": 1.0}, 2, 1.7e9)]


def losses(count: int) -> list[bytes]:
    return [event(step, simple("loss", float(step))) for step in range(count)]


@pytest.mark.parametrize("at", [0, 4, 9])
def test_a_wrong_crc_is_left_out_and_said(tmp_path: Path, at: int) -> None:
    records = losses(10)
    records[at] = records[at][:-8] + bytes((records[at][-8] ^ 1,)) + records[at][-7:]
    found = read(tmp_path / "e", file_of(*records))
    assert [p.step for p in only_points(found)] == [s for s in range(10) if s != at]
    assert [item for item in found if isinstance(item, Skipped)] == [
        Skipped("a record's CRC is wrong")
    ]


@pytest.mark.parametrize("hole", [b"\0" * 5000, b"garbage", bytes(range(256)) * 40, b"\1"])
def test_reading_goes_on_after_damaged_bytes(tmp_path: Path, hole: bytes) -> None:
    records = losses(6)
    found = read(tmp_path / "e", file_of(*records[:3], hole, *records[3:]))
    assert [p.step for p in only_points(found)] == list(range(6))
    assert len(found) == 7
    assert found[3] == Skipped("damaged bytes between records")


def test_a_hole_that_grows_is_said_once(tmp_path: Path) -> None:
    data = file_of(*losses(2)) + b"\xff" * 300
    found = grown(TFEVENTS, tmp_path / "e", data + losses(3)[2], range(len(data) - 290, len(data)))
    assert [p.step for p in only_points(found)] == [0, 1, 2]
    assert len(found) == 4


def test_a_very_long_record_is_passed_over(tmp_path: Path) -> None:
    long = record(field(1, 1.7e9) + field(4, b"g" * MAX_RECORD_BYTES))
    found = read(tmp_path / "e", file_of(losses(1)[0], long, losses(2)[1]))
    assert [p.step for p in only_points(found)] == [0, 1]
    assert found[1] == Skipped("a record is longer than 4 MiB")


SOME = file_of(
    *losses(3), event(130, tensor("acc", 1, field(4, struct.pack("<f", 0.5)))),
    event(131, tensor("text", 7, field(8, b"x" * 300), plugin="text")), *losses(2),
)


def test_a_length_that_no_disk_holds_is_damage(tmp_path: Path) -> None:
    length = struct.pack("<Q", (1 << 63) + 5)
    damaged = length + struct.pack("<I", masked_crc32c(length)) + b"x" * 40
    data = file_of(event(1, simple("loss", 1.5)), damaged, event(2, simple("loss", 2.5)))
    items = read(tmp_path / "a", data)
    assert points(items) == {"loss": [(1, 1.5), (2, 2.5)]}
    assert [item.reason for item in items if isinstance(item, Skipped)] == [
        "damaged bytes between records"]


def test_every_cut_waits_and_then_says_the_same(tmp_path: Path) -> None:
    whole = read(tmp_path / "whole", SOME)
    assert len(whole) == 6
    for cut in range(len(SOME)):
        assert grown(TFEVENTS, tmp_path / "cut", SOME, (cut,)) == whole
    assert grown(TFEVENTS, tmp_path / "bytes", SOME, range(len(SOME))) == whole


@settings(max_examples=50)
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_no_bytes_are_too_odd(tmp_path_factory, tail: bytes, cuts: Iterable[int]) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "odd"
    for data in (tail, START + tail, START + record(tail)):
        grown(TFEVENTS, path, data, [cut for cut in cuts if cut <= len(data)])


def test_a_caller_may_leave_after_any_item(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_bytes(file_of(*losses(50)))
    assert taken_singly(TFEVENTS.reader(path)) == items_of_file(TFEVENTS, path)


def test_a_file_that_begins_anew_starts_over_and_a_copy_does_not(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_bytes(file_of(*losses(3)))
    reader = TFEVENTS.reader(path)
    assert len(list(reader.read())) == 3
    copy = tmp_path / "copy"
    copy.write_bytes(file_of(*losses(5)))
    copy.replace(path)
    assert [p.step for p in only_points(reader.read())] == [3, 4]
    other = record(field(1, 1.8e9) + field(3, "brain.Event:2"))
    path.write_bytes(other + losses(1)[0])
    assert [p.step for p in only_points(reader.read())] == [0]


def test_a_file_cut_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "e"
    data = file_of(*losses(5))
    path.write_bytes(data)
    reader = TFEVENTS.reader(path)
    assert len(list(reader.read())) == 5
    path.write_bytes(data[:100])
    assert list(reader.read()) == []
    path.write_bytes(data + event(5, simple("loss", 5.0)))
    assert [p.step for p in only_points(reader.read())] == [5]


def test_it_is_known_by_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert TFEVENTS.sniff(path, SOME)
    assert TFEVENTS.sniff(path, START)
    assert not TFEVENTS.sniff(path, record(b"an example of a data set"))
    assert not TFEVENTS.sniff(path, b"\0" * 40 + b"brain.Event:2")
    assert not TFEVENTS.sniff(path, START[:10])
    assert not TFEVENTS.sniff(path, b"")


def test_what_tensorboardx_writes(tmp_path: Path) -> None:
    tensorboardx = pytest.importorskip("tensorboardX")
    writer = tensorboardx.SummaryWriter(str(tmp_path))
    for step in range(200):
        writer.add_scalar("train/loss", 1 / (step + 1), step, walltime=1.7e9 + step)
    writer.add_text("args", "x" * 1000, 0)
    writer.add_histogram("h", np.arange(100.0), 0)
    writer.close()
    (path,) = tmp_path.iterdir()
    assert TFEVENTS.sniff(path, path.read_bytes())
    found = items_of_file(TFEVENTS, path)
    assert points(found) == {
        "train/loss": [(s, float(np.float32(1 / (s + 1)))) for s in range(200)]
    }
    assert [p.time for p in only_points(found)] == [1.7e9 + step for step in range(200)]
