"""The frames of a TFRecord file: length, CRC of the length, data, CRC of the data.

A frame that is not complete waits for the rest. After damaged bytes the next length whose CRC is
right begins a frame again.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llmtop.formats.base import Skipped
from llmtop.formats.crc32c import BLOCK, crc32c, masked, masked_crc32c
from llmtop.formats.records import Growing

HEADER_BYTES = 12
FOOTER_BYTES = 4
MAX_RECORD_BYTES = 4 << 20
"""Longer records are passed over unread: graphs, images and audio; a summary of a thousand
scalars takes 60 kB."""
LONGEST_BYTES = 1 << 40
"""A length beyond is damage, whatever its CRC: no disk holds the record, and no seek goes there."""
MAX_LENGTHS = 4096
"""Remembered lengths: a file of scalars has as many as its tags and the digits of its steps."""

DAMAGED = Skipped("damaged bytes between records")
BAD_CRC = Skipped("a record's CRC is wrong")
TOO_LONG = Skipped(f"a record is longer than {MAX_RECORD_BYTES >> 20} MiB")

_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
# A length below 4 GiB ends in four zero bytes; zeros before them too are no record but a hole.
_MAYBE_HEADER = re.compile(rb"(?!\0\0\0\0).{4}\0\0\0\0.{4}", re.DOTALL)


def length_of(header: bytes) -> int | None:
    """Return the length that a frame's first HEADER_BYTES say, None when they are damaged."""
    length, crc = _HEADER.unpack(header)
    if length > LONGEST_BYTES or masked_crc32c(header[:8]) != crc:
        return None
    return int(length)


class Frames:
    """Reads the frames of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._file = Growing(path)
        self._rest = b""
        self._lost = False
        self._lengths: dict[bytes, int] = {}

    def next(self) -> Iterator[memoryview | Skipped] | None:
        """Return the frames of the next piece, None when nothing is new."""
        anew, piece = self._file.next()
        if anew:
            self._rest, self._lost = b"", False
        if not piece:
            return None
        data = self._rest + piece
        found: list[tuple[int, int] | Skipped] = []
        at = self._cut(data, found)
        self._rest = data[at:]
        return _checked(data, found)

    def _cut(self, data: bytes, found: list[tuple[int, int] | Skipped]) -> int:
        """Append the (start, length) of each complete frame; return where the last one ends."""
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            header = data[at : at + HEADER_BYTES]
            length = self._lengths.get(header)
            if length is None:
                length = length_of(header)
                if length is None:
                    if not self._lost:
                        found.append(DAMAGED)
                    at, self._lost = _next_header(data, at + 1)
                    continue
                if len(self._lengths) < MAX_LENGTHS:
                    self._lengths[header] = length
            self._lost = False
            after = at + HEADER_BYTES + length + FOOTER_BYTES
            if length > MAX_RECORD_BYTES:
                found.append(TOO_LONG)
                self._file.skip(max(0, after - end))
            elif after > end:
                break
            else:
                found.append((at + HEADER_BYTES, length))
            at = after
        return at


def _next_header(data: bytes, at: int) -> tuple[int, bool]:
    """Return where the next header may begin, and whether it is still to be found."""
    while (maybe := _MAYBE_HEADER.search(data, at)) is not None:
        if length_of(maybe.group()) is not None:
            return maybe.start(), False
        at = maybe.start() + 1
    return max(at, len(data) - HEADER_BYTES + 1), True


def _checked(
    data: bytes, found: list[tuple[int, int] | Skipped]
) -> Iterator[memoryview | Skipped]:
    """Yield the frames of `data`, or what is wrong with them."""
    wrong = _wrong(data, [frame for frame in found if not isinstance(frame, Skipped)])
    view = memoryview(data)
    for frame in found:
        if isinstance(frame, Skipped):
            yield frame
        elif frame[0] in wrong:
            yield BAD_CRC
        else:
            yield view[frame[0] : frame[0] + frame[1]]


def _wrong(data: bytes, frames: list[tuple[int, int]]) -> set[int]:
    """Return the starts of the frames whose data has another CRC: by length, all at once."""
    by_length: dict[int, list[int]] = {}
    for start, length in frames:
        by_length.setdefault(length, []).append(start)
    wrong: set[int] = set()
    octets = np.frombuffer(data, np.uint8)
    for length, starts in by_length.items():
        firsts = np.array(starts)
        if length > BLOCK:
            # A row at a time: the offsets of all of them would take eight times their bytes.
            sums = np.array([masked_crc32c(data[s : s + length]) for s in starts], np.uint32)
        else:
            sums = masked(crc32c(octets[firsts[:, np.newaxis] + np.arange(length)]))
        stored = octets[(firsts + length)[:, np.newaxis] + np.arange(FOOTER_BYTES)]
        different = sums != stored.view("<u4")[:, 0]
        wrong.update(firsts[different].tolist())
    return wrong
