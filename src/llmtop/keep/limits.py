"""How much is kept, and whether by the screen too: the table [runs] of the config file.

    [runs]
    remember = true
    size = "4G"
    age = "90d"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtop.errors import ConfigError, nearest
from llmtop.rules.expression import seconds_of

KEYS = ("remember", "size", "age")
SIZE = re.compile(r"(\d+(?:\.\d*)?)\s*([KMGT]?)(?:I?B)?")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LEAST_BYTES = 16 << 20
"""Two runs with a second of a busy job each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be on disk."""

    size: int = 1 << 30
    """Bytes of all runs together."""
    age: float = 30 * 86_400.0
    """Seconds since a run was last written to."""
    remember: bool = False
    """Whether the screen keeps runs without being asked."""


def read_limits(path: Path, table: Mapping[str, Any]) -> Limits:
    """Return what the table [runs] of a config file says.

    Raises:
        ConfigError: a key or value cannot be used; the text names file and key.
    """
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"{path}: unknown key 'runs.{key}'{nearest(key, KEYS)}")
    limits = Limits()
    remember = table.get("remember", False)
    if not isinstance(remember, bool):
        raise ConfigError(f"{path}: runs.remember: true or false is needed")
    size = _size(table["size"]) if "size" in table else limits.size
    if size is None:
        raise ConfigError(f'{path}: runs.size: a size is needed, such as "4G"')
    if size < LEAST_BYTES:
        raise ConfigError(f"{path}: runs.size: the least is {LEAST_BYTES >> 20}M")
    age = _age(table["age"]) if "age" in table else limits.age
    if age is None:
        raise ConfigError(f'{path}: runs.age: a length of time is needed, such as "30d"')
    return Limits(size, age, remember)


def _size(value: object) -> int | None:
    found = SIZE.fullmatch(value.strip().upper()) if isinstance(value, str) else None
    return int(float(found[1]) * UNITS[found[2]]) if found else None


def _age(value: object) -> float | None:
    try:
        found = seconds_of(value) if isinstance(value, str) else 0.0
    except ConfigError:
        return None
    return found if found > 0 else None
