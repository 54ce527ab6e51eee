"""Files that are written anew as a whole: a JSON object, or one object after another.

A file that cannot be parsed is being written: what it held before stays, and it is read again
when it changes. What it says a second time is not said again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmtop.formats.base import Item, Skipped
from llmtop.formats.numbers import MAX_DEPTH
from llmtop.formats.records import Resumable

MAX_DOCUMENT_BYTES = 64 << 20
"""A longer file is not read: parsed, it would take some ten times its size of memory. GuideLLM with
every request of a sweep is the largest seen, some 50 MB."""
OUTLINE_DEPTH = 3
"""Nested keys that `outline` tells: a result, its task and its metric."""

INCOMPLETE = Skipped("a file that is incomplete or damaged")
TOO_LONG = Skipped(f"a file of more than {MAX_DOCUMENT_BYTES >> 20} MiB")

_SPACE = re.compile(r"\s*")
_DECODE = json.JSONDecoder().raw_decode


class Document(Resumable):
    """Reads a file of JSON objects with a function that tells what one of them says."""

    def __init__(
        self,
        path: Path,
        items: Callable[[dict[str, Any]], Iterable[Item]],
        parse: Callable[[bytes], tuple[list[dict[str, Any]], bool]] | None = None,
    ) -> None:
        """Read `path`; `parse` is another way to get objects from a file that is no JSON."""
        super().__init__()
        self._path = path
        self._items = items
        self._parse = parse or objects_in
        self._seen: tuple[int, int, int] | None = None
        self._said: frozenset[int] = frozenset()
        self._looks = 0
        self._doubted: int | None = None

    def read(self) -> Iterator[Item]:
        """Yield what the file says and did not say before; see FileReader."""
        self._looks += 1
        yield from super().read()

    def more(self) -> Iterable[Item] | None:
        """Return what the file says and did not say before, None when it is as it was."""
        status = os.stat(self._path)
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen == self._seen:
            if self._doubted is None or self._doubted == self._looks:
                return None
            # Half-written at the last look and no more since: it will stay so.
            self._doubted = None
            return (INCOMPLETE,)
        self._seen = seen
        if status.st_size > MAX_DOCUMENT_BYTES:
            return (TOO_LONG,)
        objects, complete = self._parse(self._path.read_bytes())
        self._doubted = None if complete else self._looks
        return self._new(objects) if objects else None

    def _new(self, objects: list[dict[str, Any]]) -> Iterator[Item]:
        said, before = set[int](), self._said
        for found in objects:
            for item in self._items(found):
                # repr, because NaN equals NaN there.
                mark = hash(repr(item))
                if mark not in before and mark not in said:
                    yield item
                said.add(mark)
        self._said = frozenset(said)


def objects_in(data: bytes) -> tuple[list[dict[str, Any]], bool]:
    """Return the complete JSON objects at the start of `data`, and whether that is all of it."""
    text = data.decode("utf-8-sig", "replace")
    objects: list[dict[str, Any]] = []
    at = _after_space(text, 0)
    while at < len(text):
        try:
            found, at = _DECODE(text, at)
        except (ValueError, RecursionError):
            return objects, False
        if type(found) is dict:
            objects.append(found)
        at = _after_space(text, at)
    return objects, True


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', re.DOTALL)


@lru_cache(maxsize=4)
def outline(head: bytes) -> frozenset[str]:
    """Return the keys of the JSON object that begins with `head`, nested ones after a "/".

    A file's first bytes are enough: what follows need not be there. Keys inside of lists are left
    out. Empty when this is no JSON object.
    """
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return frozenset()
    keys: set[str] = set()
    path: list[str] = []
    depth = lists = 0
    for token in _TOKEN.finditer(head):
        mark = token.group()[:1]
        if mark == b'"':
            if token.group(2) and not lists and depth <= OUTLINE_DEPTH:
                path[depth - 1 :] = [token.group(1).decode("utf-8", "replace")]
                keys.add("/".join(path))
        elif mark == b"{":
            depth += not lists
        elif mark == b"}":
            depth -= not lists
            if depth == 0 and not lists:
                break
        elif mark == b"[":
            lists += 1
        else:
            lists -= 1
    return frozenset(keys)


def without_media(record: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return `record` without the pictures, tables and histograms in it: dicts with a "_type"."""
    if depth >= MAX_DEPTH:
        return {}
    return {
        key: without_media(value, depth + 1) if type(value) is dict else value
        for key, value in record.items()
        if type(value) is not dict or "_type" not in value
    }
