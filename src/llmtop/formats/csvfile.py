"""Tables of numbers with a header: Lightning's metrics.csv, Keras, DeepSpeed and others.

Lightning writes its file anew, in place and with a wider header, when a new metric appears: the
size grows, but each offset means something else. So the beginning is compared at each read, and
when it changed, the rows that were told already are counted off. Keras starts its epochs again,
and DeepSpeed repeats the header, at a restart in the same file.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from llmtop.formats.base import FileFormat, Item, Points, Skipped
from llmtop.formats.numbers import number, step_of, unix_time
from llmtop.formats.record import (
    EPOCH,
    RANK_KEYS,
    RUN_KEYS,
    STEP_KEYS,
    TIME_KEYS,
    first_of,
    is_measured,
)
from llmtop.formats.records import Resumable
from llmtop.samples import NO_STEP

CHUNK = 1 << 20
"""Bytes read at a time: the longest row is skipped, memory stays flat."""
BEGINNING = 4096
"""Bytes after the header that are compared too: the first row of 200 columns."""
MAX_COLUMNS = 4096
MAX_NAME = 200
"""Characters of a column's name, as long as the wire's."""
_DELIMITERS = ",\t;"


class Columns:
    """What the columns of a header mean."""

    def __init__(self, header: str) -> None:
        self.delimiter = max(_DELIMITERS, key=header.count)
        self.names = [name.strip() for name in self.cells(header)]
        self.step = first_of(STEP_KEYS, self.names)
        self._by_epoch = self.step is not None and self.step.lower() == EPOCH
        self.time = first_of(TIME_KEYS, self.names)
        self.rank = first_of(RANK_KEYS, self.names)
        self.run = first_of(RUN_KEYS, self.names)

    def cells(self, line: str) -> list[str]:
        """Return the cells of a line; quotes are rare, and the module for them is slower."""
        if '"' not in line:
            return line.split(self.delimiter)
        try:
            return next(csv.reader([line], delimiter=self.delimiter), [])
        except csv.Error:
            return []

    def points(self, row: Sequence[str], index: int) -> Points | None:
        """Return the numbers of a row, None where it has none; `index` counts rows from 0."""
        cells = [pair for pair in zip(self.names, row, strict=False) if pair[1]]
        try:
            values = {name: float(cell) for name, cell in cells}
        except ValueError:
            read = ((name, number(cell)) for name, cell in cells)
            values = {name: value for name, value in read if value is not None}
        values.pop("", None)
        step = self._step(values, index)
        moment: float | None = None
        rank: int | None = None
        run = ""
        if self.time or self.rank or self.run:
            written = dict(zip(self.names, row, strict=False))
            if self.time and (moment := unix_time(written.get(self.time))) is not None:
                values.pop(self.time, None)
            if self.rank and (found_rank := step_of(values.get(self.rank))) != NO_STEP:
                del values[self.rank]
                rank = found_rank
            if self.run and self.run not in values:
                run = written.get(self.run, "")
        return Points(values, step, moment, rank, run) if values else None

    def _step(self, values: dict[str, float], index: int) -> int:
        if self.step is None:
            return NO_STEP if self.time else index
        step = step_of(values.get(self.step))
        if step != NO_STEP and not self._by_epoch:
            del values[self.step]
        return step


class Reader(Resumable):
    """Reads one table that grows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._columns: Columns | None = None
        self._header = b""
        self._beginning = b""
        self._offset = 0
        self._row = 0
        """Rows read of the file as it is now."""
        self._told = 0
        """Rows told of it, now or before it was written anew."""
        self._first: list[str] = []

    def more(self) -> Iterable[Item] | None:
        """Return the next rows; the last one waits until its line ends."""
        with self._path.open("rb") as file:
            if not self._same(file):
                self._columns, self._beginning, self._offset, self._row = None, b"", 0, 0
            if self._columns is None and not self._read_header(file):
                return None
            return self._read_rows(file)

    def _same(self, file: BinaryIO) -> bool:
        """Return whether the file still begins as it did and is not shorter than was read."""
        if os.fstat(file.fileno()).st_size < self._offset:
            return False
        return file.read(len(self._beginning)) == self._beginning

    def _read_header(self, file: BinaryIO) -> bool:
        file.seek(0)
        self._header = file.readline(CHUNK)
        if not self._header.endswith(b"\n"):
            return False
        self._columns = Columns(_text(self._header).lstrip("\ufeff"))
        self._offset, self._beginning = len(self._header), self._header
        return True

    def _read_rows(self, file: BinaryIO) -> Iterator[Item] | None:
        """Return the next rows, None where there is no whole one."""
        file.seek(self._offset)
        chunk = file.read(CHUNK)
        end = chunk.rfind(b"\n") + 1
        if not end:
            return self._skip_row(file) if len(chunk) == CHUNK else None
        self._offset += end
        compared = min(self._offset, len(self._header) + BEGINNING)
        if len(self._beginning) < compared:
            file.seek(0)
            self._beginning = file.read(compared)
        return self._items(_text(chunk[:end]))

    def _skip_row(self, file: BinaryIO) -> Iterator[Item] | None:
        """Go past a row that is longer than a chunk, if its end is there."""
        position = self._offset + CHUNK
        while chunk := file.read(CHUNK):
            end = chunk.find(b"\n") + 1
            if end:
                self._offset = position + end
                return iter((Skipped(f"a row of more than {CHUNK >> 20} MiB"),))
            position += len(chunk)
        return None

    def _items(self, text: str) -> Iterator[Item]:
        columns = self._columns
        for line in text.split("\n"):
            line = line.rstrip("\r")
            if columns is None or not line or line.isspace():
                continue
            row = columns.cells(line)
            if len(row) != len(columns.names):
                yield Skipped("a row with more or fewer cells than the header")
                continue
            if row == columns.names:
                continue
            found = columns.points(row, self._row)
            if found is None:
                continue
            if self._row == 0:
                # Another first row: not the same file with more columns, but another one.
                cells = sorted(filter(None, row))
                self._told = self._told if cells == self._first else 0
                self._first = cells
            self._row += 1
            if self._row > self._told:
                self._told = self._row
                yield found


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


def _is_table(path: Path, head: bytes) -> bool:
    """Return whether a file is a header of names and rows that are mostly numbers."""
    lines = [_text(line).lstrip("\ufeff") for line in head.split(b"\n", 2)]
    if len(lines) < 2 or not any(mark in lines[0] for mark in _DELIMITERS):
        return False
    columns = Columns(lines[0])
    names, row = columns.names, columns.cells(lines[1])
    if len(row) != len(names) or not 2 <= len(names) <= MAX_COLUMNS:
        return False
    if any(len(name) > MAX_NAME or number(name) is not None for name in names):
        return False
    if not (columns.step or columns.time or any(map(is_measured, names))):
        return False
    filled = [cell for cell in row if cell]
    numbers = sum(number(cell) is not None or unix_time(cell) is not None for cell in filled)
    return numbers > 0 and 2 * numbers >= len(filled)


FORMATS = (
    FileFormat(
        name="csv",
        title="CSV with a header: Lightning, Keras, DeepSpeed",
        example="metrics.csv: epoch,step,train_loss / 0,49,2.31",
        sniff=_is_table,
        reader=Reader,
    ),
)
