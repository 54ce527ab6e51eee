"""The user's config file, read once: `~/.config/llmtop/config.toml`, or $LLMTOP_CONFIG."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from llmtop.errors import ConfigError, nearest

tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

VARIABLE = "LLMTOP_CONFIG"
MAX_BYTES = 1 << 20
"""A config file is typed by hand."""
TOP_KEYS = ("slo", "formats", "delivery", "runs")
FORMAT_KEYS = ("pattern", "units", "phase")
PHASES = ("train", "eval", "serve")
NO_METRICS = frozenset(("step", "time", "rank"))
"""Groups of a pattern that are not metrics."""


@dataclass(frozen=True, slots=True)
class FormatConfig:
    """A user's own format of log lines."""

    name: str
    pattern: re.Pattern[str]
    """With a named group for each metric, and perhaps for step, time and rank."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Metric -> unit."""
    phase: str = "train"


@dataclass(frozen=True, slots=True)
class Config:
    """What the config file says."""

    path: Path
    formats: tuple[FormatConfig, ...] = ()
    slo: str = ""
    """Latencies promised, as after --slo."""
    delivery: Mapping[str, Any] = field(default_factory=dict)
    """Where alerts go: tables by name, judged by who delivers them."""
    runs: Mapping[str, Any] = field(default_factory=dict)
    """Which runs are kept on disk and how many, judged by who keeps them."""


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the config file is looked for."""
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE]).expanduser()
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "llmtop" / "config.toml"


def read_config(path: Path | None = None) -> Config:
    """Return what the config file says; no file says nothing.

    Raises:
        ConfigError: it cannot be read, or a key or value in it cannot be used.
    """
    path = config_path() if path is None else path
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Config(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from None
    _known(path, "", table, TOP_KEYS)
    formats = _table(path, "formats", table.get("formats", {}))
    slo = table.get("slo", "")
    if not isinstance(slo, str):
        raise ConfigError(f'{path}: slo: a text is needed, such as "ttft=200ms,itl=50ms"')
    own = tuple(_format(path, name, value) for name, value in formats.items())
    delivery, runs = (_table(path, key, table.get(key, {})) for key in ("delivery", "runs"))
    return Config(path, own, slo, delivery, runs)


def _format(path: Path, name: str, value: Any) -> FormatConfig:
    where = f"formats.{name}"
    table = _table(path, where, value)
    _known(path, where, table, FORMAT_KEYS)
    text = table.get("pattern")
    if not isinstance(text, str):
        raise ConfigError(f"{path}: {where}.pattern: a regular expression is needed")
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"{path}: {where}.pattern: {error}") from None
    groups = set(pattern.groupindex)
    if not groups - NO_METRICS:
        raise ConfigError(
            f"{path}: {where}.pattern: no named group for a metric; write (?P<loss>...)"
        )
    units = _table(path, f"{where}.units", table.get("units", {}))
    for metric, unit in units.items():
        if metric not in groups:
            raise ConfigError(f"{path}: {where}.units.{metric}: the pattern has no such group"
                              f"{nearest(metric, groups)}")
        if not isinstance(unit, str):
            raise ConfigError(f"{path}: {where}.units.{metric}: a text is needed")
    phase = table.get("phase", "train")
    if phase not in PHASES:
        raise ConfigError(f"{path}: {where}.phase: {phase!r} is none of {', '.join(PHASES)}"
                          f"{nearest(str(phase), PHASES)}")
    return FormatConfig(name, pattern, units, phase)


def _table(path: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {where}: a table is needed")
    return value


def _known(path: Path, where: str, table: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            full = f"{where}.{key}" if where else key
            raise ConfigError(f"{path}: unknown key {full!r}{nearest(key, keys)}")
