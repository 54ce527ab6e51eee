"""The frames of a .wandb file: a LevelDB log, with zlib's CRC-32 instead of LevelDB's own.

After a header come blocks of 32 KiB; a record is whole in one block or cut into a first, middle
and last part. What is left of a block and cannot hold a header is padding. A part that is not
complete waits for the rest; a part whose CRC is wrong is left out with the record it belongs to.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from llmtop.formats.base import Skipped
from llmtop.formats.records import Growing

MAGIC = b":W&B\xe1\xbe\x00"
"""The file's header: a name, a number and the version."""
BLOCK_BYTES = 1 << 15
HEADER_BYTES = 7
MAX_RECORD_BYTES = 8 << 20
"""A longer record is left out: a step of 8192 metrics takes 0.5 MB."""

BAD_CRC = Skipped("a record's CRC is wrong")
BROKEN = Skipped("a record has a part too few")
TOO_LONG = Skipped(f"a record is longer than {MAX_RECORD_BYTES >> 20} MiB")

_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Records:
    """Reads the records of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._file = Growing(path)
        self._begin()

    def _begin(self) -> None:
        self._rest = b""
        self._at = 0
        self._drop = 0
        self._parts: bytearray | None = None

    def next(self) -> Iterator[bytes | Skipped] | None:
        """Return the records of the next piece, None when nothing is new."""
        anew, piece = self._file.next()
        if anew:
            self._begin()
        if not piece:
            return None
        self._rest += piece[self._drop :]
        self._drop = max(0, self._drop - len(piece))
        return self._records()

    def _records(self) -> Iterator[bytes | Skipped]:
        data, base = self._rest, self._at
        if not data:
            return
        view, end = memoryview(data), len(data)
        at = len(MAGIC) if base == 0 else 0
        doubted = False
        while end - at >= HEADER_BYTES:
            left = BLOCK_BYTES - (base + at) % BLOCK_BYTES
            if left < HEADER_BYTES:
                at += left
                continue
            crc, length, kind = _HEADER.unpack_from(data, at)
            after = at + HEADER_BYTES + length
            if length > left - HEADER_BYTES or (kind == 0 and length == 0):
                # No part reaches into the next block; zeros are a block that was never filled.
                if kind or length:
                    yield from self._bad()
                at += left
                continue
            if after > end:
                break
            if zlib.crc32(view[at + HEADER_BYTES - 1 : after]) != crc:
                yield from self._bad()
                # One wrong CRC may be its data's; two in a row mean that the lengths are wrong.
                at = at + left if doubted else after
                doubted = not doubted
                continue
            doubted = False
            yield from self._part(kind, data[at + HEADER_BYTES : after])
            at = after
        self._rest, self._at, self._drop = data[at:], base + at, self._drop + max(0, at - end)

    def _bad(self) -> Iterator[Skipped]:
        self._parts = None
        yield BAD_CRC

    def _part(self, kind: int, part: bytes) -> Iterator[bytes | Skipped]:
        """Yield the record that is complete with this part, if one is."""
        if kind in (_FULL, _FIRST):
            if self._parts is not None:
                self._parts = None
                yield BROKEN
            if kind == _FULL:
                yield part
            else:
                self._parts = bytearray(part)
            return
        if self._parts is None:
            # The record it continues was left out, and said so.
            return
        self._parts += part
        if len(self._parts) > MAX_RECORD_BYTES:
            self._parts = None
            yield TOO_LONG
        elif kind == _LAST:
            record, self._parts = bytes(self._parts), None
            yield record
