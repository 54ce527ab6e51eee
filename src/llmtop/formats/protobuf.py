"""Protocol buffers as they are on the wire: the fields of one message, without its schema.

Strict: a varint that is too long, a length beyond the message, a group or an unknown wire type
is a `ProtobufError`, so that damaged bytes are told apart from an unknown field.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5
FIRST_KEY = 1 << 3
"""The smallest key: of field 1."""

_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_SIGN = 1 << 63


class ProtobufError(ValueError):
    """These bytes are no message."""


def varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the unsigned number that starts at `at`, and where it ends."""
    value = shift = 0
    try:
        while shift < 70:
            byte = data[at]
            at += 1
            if byte < 0x80:
                return (value | byte << shift) & 0xFFFF_FFFF_FFFF_FFFF, at
            value |= (byte & 0x7F) << shift
            shift += 7
    except IndexError:
        raise ProtobufError("a number is cut off") from None
    raise ProtobufError("a number has more than ten bytes")


def fields(data: bytes | memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield (field number, wire type, value) in order.

    The value is an unsigned int for VARINT and a view of `data` for the others.

    Raises:
        ProtobufError: the bytes are no message; the fields before the damage were yielded.
    """
    view = memoryview(data)
    at, end = 0, len(view)
    while at < end:
        key = view[at]
        at += 1
        if key >= 0x80:
            key, at = varint(view, at - 1)
        wire = key & 7
        if key < FIRST_KEY:
            raise ProtobufError("a field has the number 0")
        if wire == VARINT:
            number, at = varint(view, at)
            yield key >> 3, wire, number
            continue
        if wire == BYTES:
            # Nearly all lengths take one byte; the call would double the time of a field.
            if at < end and view[at] < 0x80:
                length, at = view[at], at + 1
            else:
                length, at = varint(view, at)
        elif wire == FIXED64:
            length = 8
        elif wire == FIXED32:
            length = 4
        else:
            raise ProtobufError(f"unknown wire type {wire}")
        if length > end - at:
            raise ProtobufError("a field is cut off")
        yield key >> 3, wire, view[at : at + length]
        at += length


def signed(value: int | memoryview) -> int:
    """Return an int32 or int64 as it was before it was written as an unsigned number."""
    if not isinstance(value, int):
        raise ProtobufError("a number is expected")
    return value - (1 << 64) if value & _SIGN else value


def double(value: int | memoryview) -> float:
    """Return a FIXED64 value as a double."""
    return float(_DOUBLE.unpack(_sized(value, 8))[0])


def single(value: int | memoryview) -> float:
    """Return a FIXED32 value as a float."""
    return float(_FLOAT.unpack(_sized(value, 4))[0])


def text(value: int | memoryview) -> str:
    """Return a BYTES value as text; bytes that are no UTF-8 are replaced."""
    return str(message(value), "utf-8", "replace")


def message(value: int | memoryview) -> memoryview:
    """Return a BYTES value: text, packed numbers or a nested message."""
    if isinstance(value, int):
        raise ProtobufError("bytes are expected")
    return value


def _sized(value: int | memoryview, size: int) -> memoryview:
    data = message(value)
    if len(data) != size:
        raise ProtobufError(f"{size} bytes are expected")
    return data
