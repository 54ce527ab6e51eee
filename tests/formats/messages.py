"""Writes protocol buffers, for the tests of formats that hold them."""

from __future__ import annotations

import struct


def encode(number: int) -> bytes:
    """Return `number` as a varint."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def field(number: int, value: int | float | bytes | str) -> bytes:
    """Return a field: a varint, a double or bytes."""
    if isinstance(value, float):
        return encode(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return encode(number << 3) + encode(value)
    data = value.encode() if isinstance(value, str) else value
    return encode(number << 3 | 2) + encode(len(data)) + data
