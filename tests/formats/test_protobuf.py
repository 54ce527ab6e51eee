"""Messages are read field by field, and damage is told apart from what is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import encode, field

from llmtop.formats import protobuf
from llmtop.formats.protobuf import ProtobufError, fields


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_comes_back(number: int) -> None:
    value, end = protobuf.varint(encode(number), 0)
    assert protobuf.signed(value) == number
    assert end == len(encode(number))


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.binary(max_size=200))))
def test_fields_come_in_order(wanted: list[tuple[int, bytes]]) -> None:
    data = b"".join(field(number, value) for number, value in wanted)
    found = [(number, bytes(protobuf.message(value))) for number, _wire, value in fields(data)]
    assert found == wanted


@pytest.mark.parametrize(
    "data",
    [
        b"\x80" * 11, b"\x08", b"\x08\x80", b"\x0a\x05ab", b"\x0a", b"\x0d\0\0", b"\x09\0",
        b"\x0b", b"\x0f", b"\x02\x01a",
    ],
    ids=["long varint", "no varint", "cut varint", "cut bytes", "no length", "cut float",
         "cut double", "group", "wire 7", "field 0"],
)
def test_damage_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        list(fields(data))


@given(st.binary(max_size=100))
def test_any_bytes_are_fields_or_an_error(data: bytes) -> None:
    try:
        list(fields(data))
    except ProtobufError:
        return
    assert data == b"" or data[0] >> 3
