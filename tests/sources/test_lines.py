"""Whole lines come out of bytes in any pieces, and nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.sources import lines
from llmtop.sources.lines import Lines


def split(data: bytes) -> list[bytes]:
    return [line for line in re.split(rb"[\r\n]", data) if line]


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\0", b"\n"))))
def test_any_pieces_give_the_same_lines(pieces: list[bytes]) -> None:
    reader = Lines()
    out = b"".join(reader.feed(piece) for piece in pieces)
    assert not out or out[-1:] in b"\r\n"
    assert split(out + reader.flush()) == split(b"".join(pieces))


def test_a_return_at_the_end_ends_a_piece() -> None:
    assert Lines().feed(b"step 1\rstep") == b"step 1\r"


def test_an_unfinished_line_waits() -> None:
    reader = Lines()
    assert reader.feed(b"loss=2.3") == b""
    assert reader.waiting
    assert reader.feed(b"45\n") == b"loss=2.345\n"
    assert not reader.waiting


@pytest.mark.parametrize("size", [1, 999, 1 << 20])
def test_a_long_line_is_left_out_and_counted(size: int) -> None:
    reader = Lines()
    data = b"before\n" + b"x" * (1 << 20) + b"\nafter\n"
    step = max(size, 512)
    out = b"".join(reader.feed(data[at : at + step]) for at in range(0, len(data), step))
    assert out == b"before\nafter\n"
    assert reader.take_too_long() == 1
    assert reader.take_too_long() == 0


def test_what_is_kept_is_bounded() -> None:
    reader = Lines()
    for _ in range(64):
        reader.feed(b"x" * 100_000)
    assert len(reader.flush()) <= lines.MAX_LINE_BYTES + 100_000
