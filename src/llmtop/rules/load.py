"""The layers of rules: the built-in pack, then the user's file, then the command line.

A later layer changes a rule of an earlier one by name, key by key, switches it off with
`enabled = false`, or adds rules of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from llmtop.config import config_path, tomllib
from llmtop.errors import ConfigError, nearest
from llmtop.rules.detectors.settings import DETECTORS, Settings
from llmtop.rules.rule import KEYS, Rule, build

BUILT_IN = "built-in"
COMMAND_LINE = "--alert"
MAX_BYTES = 1 << 20
"""A file of rules is typed by hand."""
MAX_RULES = 1000
"""Rules in all: five times what is measured."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_FOR = re.compile(r"(.*)\s+for\s+(\S+(?:\s+\w+)?)\s*", re.S)


@dataclass(frozen=True)
class Layer:
    """Tables of rules from one place."""

    source: str
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@lru_cache(maxsize=1)
def built_in() -> tuple[Rule, ...]:
    """Return the pack as it is shipped."""
    return tuple(merge([pack()]))


def load_rules(
    path: Path | None = None, alerts: Sequence[str] = (), *, named: bool = False
) -> tuple[Rule, ...]:
    """Return the built-in rules, as a file and the command line change them.

    Args:
        path: the user's file; None is `rules.toml` beside the config file.
        alerts: conditions of the command line, such as "loss > 5 for 2m".
        named: the file was asked for, so it must be there.

    Raises:
        ConfigError: something in a layer cannot be used.
    """
    layers = [pack(), read_file(rules_path() if path is None else path, must=named)]
    if alerts:
        layers.append(Layer(COMMAND_LINE, {
            f"alert_{number}": alert_table(text) for number, text in enumerate(alerts, 1)
        }))  # fmt: skip
    return tuple(merge(layers))


def rules_path() -> Path:
    """Return where the user's rules are looked for: beside the config file."""
    return config_path().with_name("rules.toml")


def alert_table(text: str) -> dict[str, Any]:
    """Return the table of a rule written in one line: a condition, and perhaps `for` a time."""
    found = _FOR.fullmatch(text)
    table: dict[str, Any] = {"when": text.strip(), "message": text.replace("{", "{{").replace(
        "}", "}}")[:400] + ": {value} on {run}"}
    if found:
        table |= {"when": found[1].strip(), "for": found[2]}
    return table


def pack() -> Layer:
    """Return the built-in layer."""
    text = files("llmtop.rules").joinpath("pack.toml").read_text(encoding="utf-8")
    return Layer(BUILT_IN, tomllib.loads(text)["rules"])


def read_file(path: Path, *, must: bool) -> Layer:
    """Return what a file of rules says; no file says nothing, unless it must be there.

    Raises:
        ConfigError: it cannot be read, or is no table of rules.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not must:
            return Layer(str(path))
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from None
    for key in table:
        if key != "rules":
            near = nearest(key, ["rules"]) or "; a rule begins with [rules.NAME]"
            raise ConfigError(f"{path}: unknown key {key!r}{near}")
    rules = table.get("rules", {})
    if not isinstance(rules, dict) or not all(isinstance(one, dict) for one in rules.values()):
        raise ConfigError(f"{path}: a rule is a table, [rules.NAME]")
    return Layer(str(path), rules)


def merge(layers: Sequence[Layer]) -> list[Rule]:
    """Return the rules that layers make, later ones changing earlier ones.

    Raises:
        ConfigError: a rule cannot be used, or there are too many.
    """
    tables: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        for name, table in layer.rules.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(f"{layer.source}: {name!r} is no name of a rule; "
                                  "letters, digits, _ . and - are")
            if name not in tables and not {"when", "detector"} & table.keys():
                raise ConfigError(f"{layer.source}: rules.{name}: there is no such rule to change"
                                  f"{nearest(name, tables)}; a new one needs when")
            tables[name] = _changed(tables.get(name, {}), table)
            sources[name] = layer.source
    if len(tables) > MAX_RULES:
        raise ConfigError(f"{layers[-1].source}: more than {MAX_RULES} rules")
    return [build(name, table, sources[name]) for name, table in tables.items()]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's table with some keys changed; another kind of condition replaces the old."""
    kept = dict(old)
    if "when" in new:
        gone = DETECTORS.get(str(old.get("detector")), Settings).names()
        kept = {key: value for key, value in old.items()
                if key not in ("detector", "clear", *gone)}
    elif "detector" in new and new["detector"] != old.get("detector"):
        kept = {key: value for key, value in old.items()
                if key in KEYS and key not in ("when", "clear")}
    return {**kept, **new}
