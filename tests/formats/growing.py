"""Lets a file grow under its reader, for the tests of formats that are read as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from llmtop.formats.base import FileFormat, FileReader, Item, Points


def grown(chosen: FileFormat, path: Path, data: bytes, cuts: Iterable[int]) -> list[Item]:
    """Return what one reader says while `data` is appended up to each cut and then to its end."""
    path.write_bytes(b"")
    reader = chosen.reader(path)
    found: list[Item] = []
    done = 0
    for cut in (*sorted(cuts), len(data)):
        with path.open("ab") as file:
            file.write(data[done:cut])
        done = cut
        found.extend(reader.read())
    return found


def taken_singly(reader: FileReader) -> list[Item]:
    """Return what `reader` says when its caller leaves after each item."""
    found: list[Item] = []
    while True:
        item = next(iter(reader.read()), None)
        if item is None:
            return found
        found.append(item)


def rewriter(chosen: FileFormat, path: Path) -> Callable[[bytes], list[Item]]:
    """Return a function that writes the whole file anew and tells what its reader says then."""
    path.write_bytes(b"")
    reader = chosen.reader(path)

    def write(data: bytes) -> list[Item]:
        path.write_bytes(data)
        return list(reader.read())

    return write


def only_points(items: Iterable[Item]) -> list[Points]:
    """Return the points among `items`."""
    return [item for item in items if isinstance(item, Points)]
