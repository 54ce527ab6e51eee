"""CRC-32C (Castagnoli), as TFRecord files have it, of many records at once.

A byte after another in Python checks 11 MB/s. But the sum is linear: it is the exclusive or of
one table entry for each byte, chosen by the byte and by its distance from the end, so that numpy
looks up a whole block, or a block of each of many records, in one go.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
"""Bytes looked up at once: a table of 1 MiB that takes 5 ms to make, and nearly all records that
hold scalars are shorter."""
_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFF_FFFF
_MASK = 0xA282EAD8


@lru_cache(maxsize=1)
def _tables() -> NDArray[np.uint32]:
    """Return shape (BLOCK, 256): what a byte adds that has so many bytes after it."""
    tables = np.zeros((BLOCK, 256), np.uint32)
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, first >> 1 ^ np.uint32(_POLYNOMIAL), first >> 1)
    tables[0] = first
    for row in range(1, BLOCK):
        before = tables[row - 1]
        tables[row] = first[before & 0xFF] ^ before >> 8
    return tables


def crc32c(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the CRC-32C of each row of `rows`, shape (records, bytes)."""
    count, length = rows.shape
    tables = _tables()
    state = np.full(count, _ONES, np.uint32)
    for start in range(0, length, BLOCK):
        block = rows[:, start : start + BLOCK].copy()
        width = block.shape[1]
        for column in range(min(4, width)):
            block[:, column] ^= (state >> 8 * column).astype(np.uint8)
        rest = state >> 8 * width if width < 4 else np.zeros(count, np.uint32)
        found = tables[np.arange(width - 1, -1, -1), block]
        state = np.bitwise_xor.reduce(found, axis=1) ^ rest
    found_sum: NDArray[np.uint32] = state ^ np.uint32(_ONES)
    return found_sum


def masked(sums: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return CRCs as TFRecord stores them: rotated, and with a constant added."""
    stored: NDArray[np.uint32] = (sums >> 15 | sums << 17) + np.uint32(_MASK)
    return stored


def masked_crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of one record as TFRecord stores it."""
    return int(masked(crc32c(np.frombuffer(data, np.uint8)[np.newaxis]))[0])
