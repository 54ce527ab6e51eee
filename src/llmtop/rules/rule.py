"""A rule as its table says it: what is watched, how long, how bad it is, what to do about it."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from llmtop.errors import ConfigError, nearest
from llmtop.rules.detectors.settings import DETECTORS, Settings, read_settings
from llmtop.rules.expression import Expression, parse, seconds_of

Severity = Literal["info", "warning", "critical"]
Per = Literal["run", "rank", "device", "engine"]
Action = Literal["", "stop"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Least first."""
PHASES = ("train", "eval", "serve")
PLACES = ("run", "rank", "device", "engine", "value", "threshold", "step", "rule", "detail")
"""What a message may name in braces."""
LONGEST_SECONDS = 7 * 86_400.0
"""Of a rule's times: longer than a week nobody watches for."""
MAX_TEXT = 500
"""Characters of a message or hint: four lines of a toast."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, read and checked. Times are in seconds."""

    name: str
    when: Expression | None
    """None: a detector decides."""
    detector: Settings | None
    clear: Expression | None
    """What ends it; None: that `when` no longer holds."""
    wait: float
    """How long it must hold before it fires (`for`)."""
    keep: float
    """How long it stays firing after it last held (`keep_firing_for`)."""
    cooldown: float
    """How long after its end it cannot fire again."""
    severity: Severity
    message: str
    hint: str
    per: Per
    phases: tuple[str, ...]
    enabled: bool
    action: Action
    source: str
    """Where it, or what was changed of it, stands."""

    @property
    def condition(self) -> str:
        """What it watches for, in a line."""
        if self.when is not None:
            return self.when.text
        return "" if self.detector is None else self.detector.text

    @property
    def reads(self) -> tuple[str, ...]:
        """The metrics it asks for."""
        if self.detector is not None:
            return self.detector.reads
        parts = [part.reads for part in (self.when, self.clear) if part is not None]
        return tuple(dict.fromkeys(name for part in parts for name in part))


KEYS = (
    "when", "detector", "clear", "for", "keep_firing_for", "cooldown", "severity", "message",
    "hint", "per", "phases", "enabled", "action",
)  # fmt: skip


def build(name: str, table: Mapping[str, Any], source: str) -> Rule:
    """Return the rule that a table describes.

    Raises:
        ConfigError: a key or value in it cannot be used; the text names `source` and the key.
    """
    where = f"{source}: rules.{name}"
    detector = _detector(where, table)
    allowed = (*KEYS, *(detector.names() if detector else ()))
    for key in table:
        if key not in allowed:
            raise ConfigError(f"{where}: unknown key {key!r}{nearest(key, allowed)}")
    if (detector is None) == ("when" not in table):
        raise ConfigError(f"{where}: either when or detector is needed")
    if detector is not None and "clear" in table:
        raise ConfigError(f"{where}.clear: a detector says itself when it is over")
    action = _choice(where, table, "action", ("", "stop"), "")
    phases = table.get("phases", [])
    if not isinstance(phases, list) or not all(phase in PHASES for phase in phases):
        raise ConfigError(f"{where}.phases: a list of {', '.join(PHASES)} is needed")
    enabled = table.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ConfigError(f"{where}.enabled: true or false is needed")
    return Rule(
        name=name, when=_expression(where, table, "when"), detector=detector,
        clear=_expression(where, table, "clear"), wait=_seconds(where, table, "for"),
        keep=_seconds(where, table, "keep_firing_for"),
        cooldown=_seconds(where, table, "cooldown"),
        severity=_choice(where, table, "severity", SEVERITIES, "warning"),
        message=_template(where, table, "message") or f"{name.replace('_', ' ')} on {{run}}",
        hint=_template(where, table, "hint"),
        per=_choice(where, table, "per", get_args(Per), "run"),
        phases=tuple(phases), enabled=enabled, action=action, source=source,
    )  # fmt: skip


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return a message with what it names in braces; its names were checked when it was read."""
    return template.format_map(values)


def _detector(where: str, table: Mapping[str, Any]) -> Settings | None:
    kind = table.get("detector")
    if kind is None:
        return None
    if not isinstance(kind, str) or kind not in DETECTORS:
        raise ConfigError(f"{where}.detector: no detector {kind!r}{nearest(str(kind), DETECTORS)}")
    given = {key: value for key, value in table.items() if key not in KEYS}
    return read_settings(where, kind, given)


def _expression(where: str, table: Mapping[str, Any], key: str) -> Expression | None:
    text = table.get(key)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ConfigError(f"{where}.{key}: a condition in quotes is needed")
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{where}.{key}: {error}") from None


def _seconds(where: str, table: Mapping[str, Any], key: str) -> float:
    value = table.get(key, 0)
    try:
        seconds = seconds_of(value) if isinstance(value, str) else float(value)
    except (ConfigError, TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not 0 <= seconds <= LONGEST_SECONDS:
        raise ConfigError(f"{where}.{key}: {value!r} is not a length of time up to a week; "
                          "write 30s, 5m or 1h")
    return seconds


def _choice(
    where: str, table: Mapping[str, Any], key: str, known: Iterable[Any], default: str
) -> Any:
    value = table.get(key, default)
    if value not in known:
        names = ", ".join(one for one in known if one)
        raise ConfigError(f"{where}.{key}: {value!r} is none of {names}"
                          f"{nearest(str(value), known)}")
    return value


def _template(where: str, table: Mapping[str, Any], key: str) -> str:
    text = table.get(key, "")
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise ConfigError(f"{where}.{key}: a text of at most {MAX_TEXT} characters is needed")
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"{where}.{key}: {error}; a brace itself is written twice") from None
    for _, name, spec, conversion in parts:
        if name is not None and (name not in PLACES or spec or conversion):
            raise ConfigError(f"{where}.{key}: {{{name}}} is nothing to fill in"
                              f"{nearest(name, PLACES)}; there are {', '.join(PLACES)}")
    return text
