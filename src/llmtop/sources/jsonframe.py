"""Samples as plain JSON, for clients that pack nothing: {"run": "x", "step": 3, "loss": 0.5}."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from llmtop.errors import WireError
from llmtop.samples import NO_STEP
from llmtop.sources.introduce import LARGEST_STEP, number, seconds, whole
from llmtop.wire import clean_name

ABOUT = ("run", "step", "time", "host", "pid", "rank", "world_size", "phase", "total_steps",
         "started", "tags", "role")  # fmt: skip
"""Keys that say whose sample it is; every other number is a value."""
MAX_VALUES = 4096
"""Values of one sample: as many as a publisher may define."""
MAX_DEPTH = 8


class JsonSample(NamedTuple):
    """One JSON frame, checked."""

    run: str
    about: dict[str, Any]
    """The keys of ABOUT that it has."""
    time: float
    step: int
    values: dict[str, float]


def read_sample(data: bytes, now: float) -> JsonSample:
    """Return the sample in a frame that starts with "{"; it is taken at `now` if it says no time.

    Raises:
        WireError: it is not a JSON object.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"bad JSON sample: {error}") from None
    if not isinstance(value, dict):
        raise WireError("a JSON sample is an object")
    about = {key: value.pop(key) for key in ABOUT if key in value}
    step = whole(about.get("step"), 0, LARGEST_STEP)
    values: dict[str, float] = {}
    _flatten(value, "", values, 0)
    return JsonSample(
        clean_name(about.get("run") or "unnamed"), about, seconds(about.get("time"), now),
        NO_STEP if step is None else step, values,
    )


def _flatten(value: dict[str, Any], prefix: str, into: dict[str, float], depth: int) -> None:
    for key, item in value.items():
        if isinstance(item, dict):
            if depth < MAX_DEPTH:
                _flatten(item, f"{prefix}{key}/", into, depth + 1)
            continue
        found = number(item)
        if found is not None:
            if len(into) >= MAX_VALUES:
                return
            into[clean_name(prefix + key)] = found
