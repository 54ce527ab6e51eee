"""TensorBoard event files: scalars, whichever way the writer spelled them.

An event has its time (unix seconds) and step; a value is a float (`simple_value`, written by
TensorFlow 1, torch and tensorboardX) or a tensor of one number (TensorFlow 2, Keras). Text,
images, histograms and graphs are passed over.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from llmtop.formats import protobuf
from llmtop.formats.base import FileFormat, Item, Points, Skipped
from llmtop.formats.protobuf import ProtobufError, fields
from llmtop.formats.records import Resumable
from llmtop.formats.tfrecord import HEADER_BYTES, Frames, length_of
from llmtop.samples import NO_STEP

MAGIC = b"brain.Event:"
"""In the first record of every event file, and in no other TFRecord file."""
MAX_MAGIC_RECORD = 4096
"""Bytes of a first record: it holds the time, the version and the writer's name."""
MAX_TIME = 1e11
"""Unix seconds: a time beyond the year 5138 is none."""

_WALL_TIME, _STEP, _SUMMARY = 1, 2, 5
_VALUE = 1
_TAG, _SIMPLE, _TENSOR, _METADATA = 1, 2, 8, 9
_PLUGIN_DATA, _PLUGIN_NAME = 1, 1
_SCALARS = b"scalars"
_DTYPE, _SHAPE, _CONTENT = 1, 2, 4
_PACKED = {
    5: ("f", protobuf.FIXED32), 6: ("d", protobuf.FIXED64), 7: ("", protobuf.VARINT),
    10: ("", protobuf.VARINT), 11: ("", protobuf.VARINT), 16: ("", protobuf.VARINT),
    17: ("", protobuf.VARINT),
}
"""Field of a TensorProto -> struct code and wire type of its numbers: float, double, int, int64,
bool, uint32, uint64."""
_DTYPES = {
    1: "f", 2: "d", 3: "i", 4: "B", 5: "h", 6: "b", 9: "q", 10: "?", 17: "H", 19: "e", 22: "I",
    23: "Q",
}
"""DataType of a tensor -> struct code of one number."""
_BFLOAT16 = 14
_HALF_FIELD = 13

# Time, step, and one value that is a tag and a float: what nearly all records are.
_COMMON = re.compile(
    rb"\x09(.{8})(?:\x10([\x80-\xff]{0,9}[\x00-\x7f]))?\x2a(.)\x0a(.)\x0a(.)(.*)\x15(.{4})",
    re.DOTALL,
)
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_BAD = Skipped("a record is no event")


class _Events(Resumable):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._frames = Frames(path)

    def more(self) -> Iterable[Item] | None:
        frames = self._frames.next()
        return None if frames is None else _items(frames)


def _items(frames: Iterator[memoryview | Skipped]) -> Iterator[Item]:
    for frame in frames:
        if isinstance(frame, Skipped):
            yield frame
            continue
        try:
            points = _common(frame) or _event(frame)
        except ProtobufError:
            yield _BAD
            continue
        if points is not None:
            yield points


def _common(record: memoryview) -> Points | None:
    """Return the points of a record of the usual form, None for any other."""
    found = _COMMON.fullmatch(record)
    if found is None:
        return None
    time, step, summary, value, size, tag, number = found.groups()
    if size[0] != len(tag) or value[0] != len(tag) + 7 or summary[0] != value[0] + 2:
        return None
    seconds = _DOUBLE.unpack(time)[0]
    return Points(
        {_text(tag): _FLOAT.unpack(number)[0]}, _step(step),
        seconds if 0 < seconds < MAX_TIME else None,
    )


@lru_cache(maxsize=1024)
def _step(step: bytes | None) -> int:
    """Return the step; remembered, as the tags of one step follow each other."""
    if step is None:
        return 0
    if len(step) == 1:
        return step[0]
    return max(protobuf.signed(protobuf.varint(step, 0)[0]), NO_STEP)


@lru_cache(maxsize=65_536)
def _text(tag: bytes) -> str:
    return tag.decode("utf-8", "replace")


def _event(record: memoryview) -> Points | None:
    """Return the scalars of a record, None when it has none."""
    time: float | None = None
    step = 0
    values: dict[str, float] = {}
    for number, _wire, value in fields(record):
        if number == _WALL_TIME:
            seconds = protobuf.double(value)
            time = seconds if 0 < seconds < MAX_TIME else None
        elif number == _STEP:
            step = max(protobuf.signed(value), NO_STEP)
        elif number == _SUMMARY:
            for inner, _wire, part in fields(protobuf.message(value)):
                if inner == _VALUE:
                    _read_value(protobuf.message(part), values)
    return Points(values, step, time) if values else None


def _read_value(value: memoryview, values: dict[str, float]) -> None:
    """Add the scalar of one Summary.Value, if it is one, to `values`."""
    tag, number = "", None
    for field, _wire, part in fields(value):
        if field == _TAG:
            tag = protobuf.text(part)
        elif field == _SIMPLE:
            number = protobuf.single(part)
        elif field == _TENSOR:
            number = _tensor(protobuf.message(part))
        elif field == _METADATA and not _of_scalars(protobuf.message(part)):
            return
    if number is not None:
        values[tag] = number


def _of_scalars(metadata: memoryview) -> bool:
    """Return whether a value's metadata names the scalars plugin, or none."""
    for field, _wire, part in fields(metadata):
        if field == _PLUGIN_DATA:
            for inner, _wire, name in fields(protobuf.message(part)):
                if inner == _PLUGIN_NAME:
                    return protobuf.message(name) == _SCALARS
    return True


def _tensor(tensor: memoryview) -> float | None:
    """Return the number of a tensor of one number, None for any other tensor."""
    dtype, content, numbers = 0, memoryview(b""), list[float]()
    for field, wire, part in fields(tensor):
        if field == _DTYPE:
            dtype = protobuf.signed(part)
        elif field == _SHAPE:
            if not _is_one(protobuf.message(part)):
                return None
        elif field == _CONTENT:
            content = protobuf.message(part)
        elif field == _HALF_FIELD:
            numbers.extend(_halves(dtype, wire, part))
        elif field in _PACKED:
            numbers.extend(_numbers(field, wire, part))
        if len(numbers) > 1:
            return None
    if content:
        return _content(dtype, content)
    return numbers[0] if numbers else None


def _is_one(shape: memoryview) -> bool:
    """Return whether every dimension of a TensorShapeProto is 1 (a scalar has none)."""
    for field, _wire, dimension in fields(shape):
        if field == 2 and any(
            number == 1 and size != 1 for number, _wire, size in fields(
                protobuf.message(dimension))
        ):
            return False
    return True


def _numbers(field: int, wire: int, part: int | memoryview) -> Iterator[float]:
    """Yield the numbers of a repeated field, packed or not; at most two are looked at."""
    code, single = _PACKED[field]
    if wire == protobuf.VARINT:
        yield float(protobuf.signed(part))
        return
    data = protobuf.message(part)
    if wire == protobuf.BYTES and single == protobuf.VARINT:
        at = 0
        for _ in range(2):
            if at < len(data):
                number, at = protobuf.varint(data, at)
                yield float(protobuf.signed(number))
        return
    size = struct.calcsize(code)
    for at in range(0, min(len(data), 2 * size) - size + 1, size):
        yield float(struct.unpack_from(f"<{code}", data, at)[0])


def _halves(dtype: int, wire: int, part: int | memoryview) -> Iterator[float]:
    """Yield 16-bit floats, which are stored as the number that their bits make."""
    for bits in _numbers(7, wire, part):
        raw = struct.pack("<H", int(bits) & 0xFFFF)
        yield _content(dtype, memoryview(raw)) or 0.0


def _content(dtype: int, content: memoryview) -> float | None:
    """Return the one number of a tensor's bytes; None when they are more, or no number."""
    if dtype == _BFLOAT16 and len(content) == 2:
        return float(_FLOAT.unpack(b"\0\0" + bytes(content))[0])
    code = _DTYPES.get(dtype)
    if code is None or struct.calcsize(f"<{code}") != len(content):
        return None
    return float(struct.unpack(f"<{code}", content)[0])


def _sniff(_path: Path, head: bytes) -> bool:
    if len(head) < HEADER_BYTES or MAGIC not in head[:MAX_MAGIC_RECORD]:
        return False
    length = length_of(head[:HEADER_BYTES])
    return length is not None and MAGIC in head[HEADER_BYTES : HEADER_BYTES + length]


FORMATS = (
    FileFormat(
        name="tfevents",
        title="TensorBoard",
        example="events.out.tfevents.1700000000.host.1.0: scalars as TFRecord, one a record",
        sniff=_sniff,
        reader=_Events,
    ),
)
