"""What publishers say of themselves, checked and made safe to show: HELLO, DEFS, EVENT, BYE."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from llmtop.errors import WireError, printable
from llmtop.samples import (
    NO_STEP,
    Better,
    EndReason,
    Ends,
    Event,
    RunInfo,
    Sample,
    SeriesKind,
)
from llmtop.wire import clean_name

PHASES = ("train", "eval", "serve")
HOST_PHASE = "host"
"""Of a machine, which a relay passes on but no publisher is."""
KINDS: tuple[SeriesKind, ...] = get_args(SeriesKind)
DIRECTIONS: tuple[Better, ...] = get_args(Better)
ENDS: dict[str, EndReason] = {
    "finished": "finished", "failed": "failed", "died": "died", "": "finished",
    "error": "failed", "exception": "failed", "crashed": "failed", "interrupted": "failed",
}
"""BYE's reason -> how the run ended; any other word is a text of a run that finished."""
LARGEST = 1 << 53
"""Integers beyond are not exact in JSON; nothing counted here comes near."""
LARGEST_STEP = (1 << 62) - 1
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""What DEFS has in place of a value that JSON cannot write."""
LATEST = 1e11
"""Unix seconds beyond are no time: the year 5138."""
MAX_TAG_LEAVES = 512
"""Values kept of a run's tags: three times the fields of a large training configuration."""
MAX_TAG_DEPTH = 6
MAX_UNIT_CHARS = 32
MAX_TEXT_CHARS = 1000
"""Characters of an event's text: six lines of a wide terminal."""


class Definition(NamedTuple):
    """One entry of DEFS."""

    sid: int
    name: str
    kind: SeriesKind
    unit: str
    better: Better
    ends: Ends | None = None
    """Of the history that comes folded."""
    bucketed: bool = False
    """A distribution of which only counts by bucket come."""


def whole(value: object, low: int, high: int) -> int | None:
    """Return `value` if it is a whole number in low..high, else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if low <= value <= high else None


def number(value: object) -> float | None:
    """Return `value` as a float (NaN and infinities are numbers), None if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def seconds(value: object, default: float) -> float:
    """Return `value` if it can be a unix time, else `default`."""
    found = number(value)
    return found if found is not None and 0 < found < LATEST else default


def clean_text(value: object, limit: int = MAX_TEXT_CHARS) -> str:
    """Return printable text of at most `limit` characters; a line break becomes a space."""
    text = value if isinstance(value, str) else str(value)
    return printable(text[:limit])


def read_hello(hello: Mapping[str, Any], key: str, source: str) -> RunInfo:
    """Return the run that a HELLO (or a JSON sample) introduces; odd fields count as not given.

    Raises:
        WireError: it is not a publisher.
    """
    if hello.get("role", "publisher") not in ("publisher", "relay"):
        raise WireError(f"role {clean_text(hello.get('role'), 20)!r} does not publish")
    phases = (*PHASES, HOST_PHASE) if hello.get("role") == "relay" else PHASES
    host, phase, tags = hello.get("host"), hello.get("phase"), hello.get("tags")
    return RunInfo(
        key=key,
        name=clean_name(hello.get("name", "unnamed")),
        host=clean_name(host) if isinstance(host, str) and host else "",
        pid=whole(hello.get("pid"), 1, 1 << 31) or 0,
        rank=whole(hello.get("rank"), 0, 1 << 20),
        world_size=whole(hello.get("world_size"), 1, 1 << 20),
        phase=phase if isinstance(phase, str) and phase in phases else "train",
        started=seconds(hello.get("started"), 0.0),
        total_steps=whole(hello.get("total_steps"), 1, LARGEST),
        source=source,
        tags=_clean_tags(tags) if isinstance(tags, dict) else {},
        stoppable=hello.get("stoppable") is True and hello.get("role") != "relay",
    )


def read_definitions(entries: list[Any]) -> Iterator[Definition | None]:
    """Yield each entry of DEFS, None for one that is not usable."""
    for entry in entries:
        if not isinstance(entry, list) or len(entry) < 2 or not isinstance(entry[1], str):
            yield None
            continue
        sid = whole(entry[0], 0, (1 << 32) - 1)
        about = entry[2] if len(entry) > 2 and isinstance(entry[2], dict) else {}
        kind, better, unit = about.get("kind"), about.get("better"), about.get("unit")
        yield None if sid is None else Definition(
            sid,
            clean_name(entry[1]),
            kind if kind in KINDS else "gauge",
            clean_text(unit, MAX_UNIT_CHARS) if isinstance(unit, str) else "",
            better if better in DIRECTIONS else "",
            _ends(about),
            about.get("bucketed") is True and kind == "distribution",
        )


def _ends(about: Mapping[str, Any]) -> Ends | None:
    first, last = _sample(about.get("first")), _sample(about.get("last"))
    return None if first is None or last is None else Ends(first, last)


def _sample(told: object) -> Sample | None:
    """Return a point of DEFS, None if it is not one."""
    if not isinstance(told, list) or len(told) != 3:
        return None
    time, step, value = number(told[0]), whole(told[1], NO_STEP, LARGEST_STEP), told[2]
    value = WORDS.get(value) if isinstance(value, str) else number(value)
    if time is None or not 0 <= time < LATEST or value is None:
        return None
    return Sample(time, NO_STEP if step is None else step, value)


def read_event(event: Mapping[str, Any], run: str, now: float) -> Event:
    """Return an EVENT."""
    step = whole(event.get("step"), 0, LARGEST_STEP)
    return Event(
        run, seconds(event.get("t"), now), clean_text(event.get("level", "info"), 20),
        clean_text(event.get("text", "")), NO_STEP if step is None else step,
    )


def read_bye(bye: Mapping[str, Any]) -> tuple[EndReason, str]:
    """Return how a run ended, and what it said about it."""
    reason = bye.get("reason") or ""
    text = clean_text(bye.get("text") or "")
    known = ENDS.get(reason) if isinstance(reason, str) else "finished"
    return (known, text) if known else ("finished", text or clean_text(reason))


def _clean_tags(tags: Mapping[str, Any]) -> dict[str, object]:
    room = [MAX_TAG_LEAVES]

    def clean(value: object, depth: int) -> object:
        room[0] -= 1
        if isinstance(value, dict):
            items = value.items() if depth < MAX_TAG_DEPTH else ()
            return {clean_name(k): clean(v, depth + 1) for k, v in items if room[0] > 0}
        if isinstance(value, list):
            return [clean(v, depth + 1) for v in (value if depth < MAX_TAG_DEPTH else ())
                    if room[0] > 0]
        return clean_text(value, 200) if isinstance(value, str) else value

    cleaned = clean(tags, 0)
    return cleaned if isinstance(cleaned, dict) else {}
