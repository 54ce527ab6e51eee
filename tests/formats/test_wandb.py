"""wandb run files: rows, settings, exit codes; cut anywhere, damaged, in old and new spelling."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from growing import grown, only_points, rewriter, taken_singly
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import field
from reading import items_of_file

from llmtop.formats import wandb_summary
from llmtop.formats.base import About, End, Item, Note, Points, Skipped
from llmtop.formats.blocks import BLOCK_BYTES, HEADER_BYTES, MAGIC
from llmtop.formats.wandb import FORMATS
from llmtop.samples import NO_STEP

(WANDB,) = FORMATS
(SUMMARY,) = wandb_summary.FORMATS
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def file_of(*records: bytes) -> bytes:
    """Return a run file: records cut into blocks as LevelDB's log writer does."""
    out = bytearray(MAGIC)
    for record in records:
        begun = False
        while True:
            left = BLOCK_BYTES - len(out) % BLOCK_BYTES
            if left < HEADER_BYTES:
                out += b"\0" * left
                continue
            part, record = record[: left - HEADER_BYTES], record[left - HEADER_BYTES :]
            kind = (LAST if begun else FULL) if not record else (MIDDLE if begun else FIRST)
            crc = zlib.crc32(bytes((kind,)) + part)
            out += struct.pack("<IHB", crc, len(part), kind) + part
            begun = True
            if not record:
                break
    return bytes(out)


def items(values: dict[str, str], nested: bool) -> list[bytes]:
    """Return history items: name (parts joined with ".") -> JSON text."""
    return [
        (b"".join(field(2, part) for part in name.split(".")) if nested else field(1, name))
        + field(16, text)
        for name, text in values.items()
    ]


def history(values: dict[str, str], step: int | None = None, *, nested: bool = True) -> bytes:
    row = b"".join(field(1, item) for item in items(values, nested))
    counted = b"" if step is None else field(2, field(1, step))
    return field(1, 7) + field(2, row + counted) + field(16, field(1, 1))


def rows(count: int, padding: int = 0) -> list[bytes]:
    return [
        history({"loss": f"{step}.5", "_step": str(step), "note": json.dumps("x" * padding)})
        for step in range(count)
    ]


def read(path: Path, data: bytes) -> list[Item]:
    path.write_bytes(data)
    return items_of_file(WANDB, path)


def steps(found: Iterable[Item]) -> list[int]:
    return [point.step for point in only_points(found)]


@pytest.mark.parametrize("nested", [False, True])
def test_a_row_of_history(tmp_path: Path, nested: bool) -> None:
    row = history(
        {"loss": "2.25", "_step": "12", "_timestamp": "1700000000.5", "done": "true", "s": '"x"'},
        nested=nested,
    )
    assert read(tmp_path / "r", file_of(row)) == [
        Points({"loss": 2.25, "_step": 12.0, "_timestamp": 1700000000.5}, 12, 1700000000.5)
    ]


def test_nested_names_are_joined_and_media_left_out(tmp_path: Path) -> None:
    new = history({"a.b.c": "1", "img._type": '"image-file"', "img.width": "4", "imgs": "3"}, 5)
    old = history(
        {"a": '{"b": {"c": 1}}', "img": '{"_type": "image-file", "width": 4}', "imgs": "3"},
        5, nested=False,
    )
    for row in (new, old):
        assert read(tmp_path / "r", file_of(row)) == [Points({"a.b.c": 1.0, "imgs": 3.0}, 5)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("NaN", math.nan), ('"NaN"', math.nan), ("Infinity", math.inf), ('"-Infinity"', -math.inf),
     ("-Infinity", -math.inf), ("1e400", math.inf), ("3", 3.0), ("-2.5e-8", -2.5e-8)],
)
def test_what_is_not_finite_is_kept(tmp_path: Path, text: str, value: float) -> None:
    (point,) = only_points(read(tmp_path / "r", file_of(history({"g": text}))))
    assert point.values["g"] == pytest.approx(value, nan_ok=True)
    assert point.step == NO_STEP


def test_system_metrics_have_their_time(tmp_path: Path) -> None:
    time = field(1, 1_700_000_000) + field(2, 500_000_000)
    stats = field(2, time) + field(3, field(1, "gpu.0.temp") + field(16, "61"))
    assert read(tmp_path / "r", file_of(field(7, stats))) == [
        Points({"system/gpu.0.temp": 61.0}, time=1_700_000_000.5)
    ]


@pytest.mark.parametrize(
    ("code", "end"), [(0, End("finished")), (1, End("failed", "exit code 1")),
                      (-9, End("failed", "exit code -9"))],
)
def test_a_run_says_its_name_settings_and_exit(tmp_path: Path, code: int, end: End) -> None:
    config = b"".join(
        field(1, field(1, key) + field(16, text))
        for key, text in (("lr", "0.001"), ("_wandb", "{}"), ("opt", '{"value": "adam"}'))
    )
    run = (
        field(1, "abc123") + field(3, "proj") + field(4, config) + field(8, "brisk-owl-7")
        + field(17, field(1, 1_700_000_000))
    )
    alert = field(1, "loss") + field(2, "it is high") + field(3, "WARN")
    data = file_of(field(17, run), field(10, alert), field(18, field(1, code) if code else b""))
    assert read(tmp_path / "r", data) == [
        About("brisk-owl-7", started=1_700_000_000.0,
              tags={"lr": 0.001, "opt": "adam", "id": "abc123", "project": "proj"}),
        Note("loss: it is high", "warning"),
        end,
    ]


def test_records_that_span_blocks(tmp_path: Path) -> None:
    data = file_of(*rows(12, 9000), *rows(3, 100_000))
    assert len(data) > 9 * BLOCK_BYTES
    assert steps(read(tmp_path / "r", data)) == [*range(12), *range(3)]


@pytest.mark.parametrize("size", range(BLOCK_BYTES - 40, BLOCK_BYTES - 10))
def test_the_padding_at_the_end_of_a_block(tmp_path: Path, size: int) -> None:
    first = field(13, b"x" * (size - len(MAGIC) - 17))
    data = file_of(first, *rows(3))
    assert steps(grown(WANDB, tmp_path / "r", data, range(BLOCK_BYTES - 50, BLOCK_BYTES + 30))) == [
        0, 1, 2,
    ]


def test_a_wrong_crc_is_left_out_and_said(tmp_path: Path) -> None:
    data = bytearray(file_of(*rows(5)))
    size = (len(data) - len(MAGIC)) // 5
    data[len(MAGIC) + 2 * size + 20] ^= 1
    found = read(tmp_path / "r", bytes(data))
    assert steps(found) == [0, 1, 3, 4]
    assert found[2] == Skipped("a record's CRC is wrong")


def test_after_garbage_the_next_block_is_read(tmp_path: Path) -> None:
    data = bytearray(file_of(*rows(40, 3000)))
    data[9000:20_000] = b"\x01" * 11_000
    found = read(tmp_path / "r", bytes(data))
    kept = steps(found)
    assert kept[:2] == [0, 1]
    assert kept[2:] == list(range(40 - len(kept[2:]), 40))
    assert len(kept) > 30
    assert any(isinstance(item, Skipped) for item in found)


SOME = file_of(
    field(17, field(1, "abc") + field(8, "name")), *rows(4),
    field(7, field(3, field(1, "cpu") + field(16, "3"))), field(18, b""),
)


def test_every_cut_waits_and_then_says_the_same(tmp_path: Path) -> None:
    whole = read(tmp_path / "whole", SOME)
    assert len(whole) == 7
    for cut in range(len(SOME)):
        assert grown(WANDB, tmp_path / "cut", SOME, (cut,)) == whole
    assert grown(WANDB, tmp_path / "bytes", SOME, range(len(SOME))) == whole


@settings(max_examples=40)
@given(st.lists(st.integers(0, 150_000), max_size=8))
def test_a_long_run_in_pieces(tmp_path_factory, cuts: list[int]) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "long"
    data = file_of(*rows(20, 7000))
    assert steps(grown(WANDB, path, data, [c for c in cuts if c <= len(data)])) == list(range(20))


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(0, 2))
def test_no_bytes_are_too_odd(tmp_path_factory, odd: bytes, how: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "odd"
    data = (odd, MAGIC + odd, file_of(field(2, odd), field(17, odd), odd, *rows(1)))[how]
    found = grown(WANDB, path, data, (len(data) // 2,))
    if how == 2:
        assert steps(found)[-1] == 0


def test_a_caller_may_leave_after_any_item(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(SOME)
    assert taken_singly(WANDB.reader(path)) == items_of_file(WANDB, path)


def test_it_is_known_by_its_header(tmp_path: Path) -> None:
    assert WANDB.sniff(tmp_path / "x", SOME[:10])
    assert not WANDB.sniff(tmp_path / "run-x.wandb", b":W&B")
    assert not WANDB.sniff(tmp_path / "run-x.wandb", b"")


def test_a_summary_is_told_when_it_changes(tmp_path: Path) -> None:
    write = rewriter(SUMMARY, tmp_path / "wandb-summary.json")
    first = b'{"train/loss": 2.5, "_step": 3, "_timestamp": 1.7e9, "_wandb": {"runtime": 9}}'
    values = {"train/loss": 2.5, "_step": 3.0, "_timestamp": 1.7e9, "_wandb/runtime": 9.0}
    assert write(first) == [Points(values, time=1.7e9)]
    assert write(b"") == []
    assert write(first[:30]) == []
    assert write(first) == []
    (point,) = only_points(write(first.replace(b"2.5", b"NaN")))
    assert math.isnan(point.values["train/loss"])
    assert write(b'{"img": {"_type": "image-file", "width": 3}, "x": 1}') == [Points({"x": 1.0})]


def test_a_summary_that_stays_half_is_said(tmp_path: Path) -> None:
    path = tmp_path / "wandb-summary.json"
    path.write_bytes(b'{"a": 1')
    reader = SUMMARY.reader(path)
    said = [list(reader.read()) for _ in range(3)]
    assert said == [[], [Skipped("a file that is incomplete or damaged")], []]


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b'{"loss": 1, "_wandb": {"runtime": 3}}', True),
        (b'{"_step": 1, "_runtime": 2, "loss": 3', True),
        (b'{"_step": 1, "_runtime": 2}\n{"_step": 2, "_runtime": 3}\n', False),
        (b'{"loss": 1, "step": 3}', False),
        (b'{"a": {"_wandb": 1}}', False),
        (b"[1]", False), (b"", False),
    ],
)
def test_a_summary_is_known_by_its_keys(tmp_path: Path, head: bytes, known: bool) -> None:
    assert SUMMARY.sniff(tmp_path / "x.json", head) == known


SCRIPT = """
import wandb, math
run = wandb.init(project="proj", name="real", config={"lr": 0.001})
for step in range(30):
    run.log({"train/loss": 2 / (step + 1), "n": {"a": step}, "g": math.nan if step == 7 else 1.0})
run.finish()
"""


@pytest.mark.timeout(120)
def test_what_wandb_writes(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    environment = {
        **os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true",
    }
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=tmp_path, check=True)
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    found = items_of_file(WANDB, path)
    logged = [point for point in only_points(found) if "train/loss" in point.values]
    assert [(p.step, p.values["train/loss"], p.values["n.a"]) for p in logged] == [
        (step, 2 / (step + 1), step) for step in range(30)
    ]
    assert [p.step for p in logged if math.isnan(p.values["g"])] == [7]
    (about,) = [item for item in found if isinstance(item, About)]
    assert (about.name, about.tags["lr"], about.tags["project"]) == ("real", 0.001, "proj")
    assert End("finished") in found
