"""Weights & Biases run files (run-ID.wandb), live or finished, of online and offline runs.

Each record is a protocol buffer: a history row (one `log` call), a row of system metrics, what
the run is called and set to, an alert, or the exit code. Values are JSON texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmtop.formats import blocks, protobuf
from llmtop.formats.base import About, End, FileFormat, Item, Note, Points, Skipped
from llmtop.formats.numbers import MAX_DEPTH, MAX_VALUES, number_of, step_of
from llmtop.formats.protobuf import ProtobufError, fields
from llmtop.formats.records import Resumable
from llmtop.samples import NO_STEP

MAX_TAG_TEXT = 200
"""Characters of a setting's JSON that is kept as a tag: paths and names, not whole configs."""
MAX_TAGS = 256
"""Settings kept: transformers logs some 180 of them."""

MANY_BYTES = 0x80
"""From here on a length takes more than one byte."""

_ITEM, _ROW_STEP = 1, 2
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16
_SHORT_KEYS = (0x0A, 0x12)
_SHORT_VALUE = b"\x82\x01"
"""The keys of _KEY, _NESTED_KEY and _VALUE with their wire type, as they are on the wire."""
_STATS_TIME, _STATS_ITEM = 2, 3
_NON_FINITE = {b'"NaN"': "nan", b'"Infinity"': "inf", b'"-Infinity"': "-inf"}
_MEDIA = "._type"
_SYSTEM = "system/"
_LEVELS = {"WARN": "warning", "ERROR": "error"}
_BAD = Skipped("a record is no wandb record")


class _Run(Resumable):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._records = blocks.Records(path)

    def more(self) -> Iterable[Item] | None:
        records = self._records.next()
        return None if records is None else _items(records)


def _items(records: Iterator[bytes | Skipped]) -> Iterator[Item]:
    for record in records:
        if isinstance(record, Skipped):
            yield record
            continue
        try:
            item = _item(record)
        except ProtobufError:
            yield _BAD
            continue
        if item is not None:
            yield item


def _item(record: bytes) -> Item | None:
    """Return what a Record says, None for the kinds that say nothing here."""
    for number, wire, value in fields(record):
        read = _KINDS.get(number)
        if read is not None and wire == protobuf.BYTES:
            return read(protobuf.message(value))
    return None


def _history(row: memoryview) -> Points | None:
    values: dict[str, float] = {}
    step, media = NO_STEP, list[str]()
    for number, _wire, value in fields(row):
        if number == _ITEM:
            name = _add(protobuf.message(value), values)
            if name.endswith(_MEDIA):
                media.append(name[: -len(_MEDIA)])
        elif number == _ROW_STEP:
            for inner, _wire, counted in fields(protobuf.message(value)):
                if inner == 1:
                    step = max(protobuf.signed(counted), NO_STEP)
    for name in media:
        # Since 2024 a picture's width and size are items of their own beside its "_type".
        values = {known: v for known, v in values.items() if not known.startswith(f"{name}.")}
    logged = values.get("_step")
    if logged is not None and (whole := step_of(logged)) != NO_STEP:
        step = whole
    return Points(values, step, values.get("_timestamp")) if values else None


def _stats(row: memoryview) -> Points | None:
    values: dict[str, float] = {}
    time: float | None = None
    for number, _wire, value in fields(row):
        if number == _STATS_TIME:
            time = _timestamp(protobuf.message(value))
        elif number == _STATS_ITEM:
            _add(protobuf.message(value), values, _SYSTEM)
    return Points(values, time=time) if values else None


def _add(item: memoryview, values: dict[str, float], prefix: str = "") -> str:
    """Add the numbers of one key and its JSON text to `values`; return its name.

    A dict among the system metrics is left out: versions of 2021 wrote the network's totals so.
    """
    key, value = _pair(item)
    name = prefix + key
    try:
        # JSON's numbers and its NaN and Infinity are all spelled as float() reads them.
        values[name] = float(value)
        return name
    except ValueError:
        pass
    if value in _NON_FINITE:
        values[name] = float(_NON_FINITE[value])
    elif value[:1] == b"{" and not prefix:
        _add_nested(name, _json(value), values, 0)
    return name


def _add_nested(name: str, value: Any, values: dict[str, float], depth: int) -> None:
    """Add the numbers in a dict that is not a picture, table or histogram."""
    if type(value) is not dict:
        if (found := number_of(value)) is not None:
            values[name] = found
    elif "_type" not in value and depth < MAX_DEPTH:
        for key, inner in value.items():
            if len(values) >= MAX_VALUES:
                return
            _add_nested(f"{name}.{key}", inner, values, depth + 1)


def _pair(item: memoryview) -> tuple[str, bytes]:
    """Return the name and the JSON text of a history, stats or config item."""
    short = _short_pair(item)
    if short is not None:
        return short
    keys: list[str] = []
    value = b""
    for number, _wire, part in fields(item):
        if number in (_KEY, _NESTED_KEY):
            if len(part := protobuf.message(part)):
                keys.append(_name(bytes(part)))
        elif number == _VALUE:
            value = bytes(protobuf.message(part))
    return (keys[0] if len(keys) == 1 else ".".join(keys)), value


def _short_pair(item: memoryview) -> tuple[str, bytes] | None:
    """Return the same of an item of one short key and one short value, as nearly all are."""
    size = len(item)
    if size < 5 or item[0] not in _SHORT_KEYS or item[1] >= MANY_BYTES:
        return None
    after = 2 + item[1]
    if after + 3 > size or item[after : after + 2] != _SHORT_VALUE:
        return None
    length = item[after + 2]
    if length >= MANY_BYTES or after + 3 + length != size:
        return None
    return _name(bytes(item[2:after])), bytes(item[after + 3 :])


@lru_cache(maxsize=65_536)
def _name(key: bytes) -> str:
    return key.decode("utf-8", "replace")


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _timestamp(message: memoryview) -> float | None:
    """Return unix seconds of a Timestamp."""
    seconds = nanos = 0
    for number, _wire, value in fields(message):
        if number == 1:
            seconds = protobuf.signed(value)
        elif number == 2:
            nanos = protobuf.signed(value)
    return seconds + nanos * 1e-9 if seconds > 0 else None


def _run(record: memoryview) -> About:
    texts: dict[str, str] = {}
    tags: dict[str, object] = {}
    started: float | None = None
    for number, _wire, value in fields(record):
        if number in _RUN_TEXTS:
            texts[_RUN_TEXTS[number]] = protobuf.text(value)
        elif number == 4:
            tags.update(_settings(protobuf.message(value)))
        elif number == 17:
            started = _timestamp(protobuf.message(value))
    name = texts.pop("name", "") or texts.get("id", "")
    return About(name=name, started=started, tags={**tags, **texts})


_RUN_TEXTS = {
    1: "id", 2: "entity", 3: "project", 6: "group", 7: "job_type", 8: "name", 13: "host",
}
"""Field of a RunRecord -> what it is called here."""


def _settings(config: memoryview) -> dict[str, object]:
    """Return the short settings of a ConfigRecord; wandb's own begin with "_"."""
    tags: dict[str, object] = {}
    for number, _wire, value in fields(config):
        if number != 1 or len(tags) >= MAX_TAGS:
            continue
        key, text = _pair(protobuf.message(value))
        if key.startswith("_") or len(text) > MAX_TAG_TEXT:
            continue
        setting = _json(text)
        # Sweeps and old versions wrap a setting with its description.
        if type(setting) is dict and set(setting) <= {"value", "desc"}:
            setting = setting.get("value")
        if setting is not None:
            tags[key] = setting
    return tags


def _config(config: memoryview) -> About | None:
    tags = _settings(config)
    return About(tags=tags) if tags else None


def _exit(record: memoryview) -> End:
    code = 0
    for number, _wire, value in fields(record):
        if number == 1:
            code = protobuf.signed(value)
    if code == 0:
        return End("finished")
    return End("failed", f"exit code {code}")


def _alert(record: memoryview) -> Note:
    texts = {
        number: protobuf.text(value) for number, wire, value in fields(record)
        if wire == protobuf.BYTES and number in (1, 2, 3)
    }
    said = ": ".join(filter(None, (texts.get(1), texts.get(2))))
    return Note(said, _LEVELS.get(texts.get(3, ""), "info"))


def _preempting(_record: memoryview) -> Note:
    return Note("the run is being preempted", "warning")


_KINDS: dict[int, Callable[[memoryview], Item | None]] = {
    2: _history, 5: _config, 7: _stats, 10: _alert, 17: _run, 18: _exit, 23: _preempting,
}
"""Field of a Record -> what reads it."""


def _sniff(_path: Path, head: bytes) -> bool:
    return head.startswith(blocks.MAGIC)


FORMATS = (
    FileFormat(
        name="wandb",
        title="Weights & Biases",
        example="run-abc123.wandb: the history, system metrics and exit code of a run",
        sniff=_sniff,
        reader=_Run,
    ),
)
