"""Which sinks there are: tables [delivery.NAME] of the config file, and the command line's.

    [delivery.team]
    to = "slack"
    url_env = "SLACK_WEBHOOK"
    severity = "critical"
    resolved = true
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmtop.errors import ConfigError, nearest
from llmtop.rules.expression import seconds_of
from llmtop.rules.rule import SEVERITIES, Severity

WEB_KEYS = ("url", "url_env", "token_env", "timeout")
KEYS: Mapping[str, tuple[str, ...]] = {
    "bell": (), "notify": ("form", "force"), "exec": ("command", "timeout"), "file": ("path",),
    "webhook": WEB_KEYS, "slack": WEB_KEYS, "discord": WEB_KEYS,
}  # fmt: skip
"""Kinds of sink, and the keys that only they have."""
COMMON = ("to", "severity", "resolved")
FORMS = ("auto", "osc9", "osc99", "osc777")
"""How a notification is written; which terminal takes which, `terminal` knows."""
MAX_SINKS = 32
"""They take turns in one thread."""
TIMEOUT_SECONDS = 10.0
"""Of one attempt: what people wait for a page."""
LONGEST_SECONDS = 60.0
"""One sink may hold up the others so long."""


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """One sink, read and checked."""

    name: str
    to: str
    """Its kind."""
    severity: Severity = "warning"
    """The least that it is told."""
    resolved: bool = False
    """It is also told what is over."""
    command: tuple[str, ...] = ()
    timeout: float = TIMEOUT_SECONDS
    url: str = ""
    url_env: str = ""
    """Name of the environment variable with the address, which may be a secret."""
    token_env: str = ""
    """Name of the one with a bearer token."""
    path: str = ""
    form: str = "auto"
    force: bool = False
    """Notify through tmux or screen too, which pass it on only where they are told to."""

    def wants(self, severity: Severity) -> bool:
        """Tell whether an alert of this severity is bad enough."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)


def read_sinks(path: Path, tables: Mapping[str, Any]) -> tuple[SinkSettings, ...]:
    """Return the sinks that the tables of a config file describe, by name.

    Raises:
        ConfigError: a key or value cannot be used; the text names file and key.
    """
    if len(tables) > MAX_SINKS:
        raise ConfigError(f"{path}: delivery: more than {MAX_SINKS} sinks")
    return tuple(_read(f"{path}: delivery.{name}", name, table) for name, table in tables.items())


def with_options(
    sinks: tuple[SinkSettings, ...], *, bell: bool, notify: bool, log: str
) -> tuple[SinkSettings, ...]:
    """Return the sinks with those of the command line; what is there already is not doubled."""
    known = {sink.to for sink in sinks}
    more = []
    if bell and "bell" not in known:
        more.append(SinkSettings("--bell", "bell"))
    if notify and "notify" not in known:
        more.append(SinkSettings("--notify", "notify"))
    if log:
        more.append(SinkSettings("--alert-log", "file", "info", True, path=log))
    return (*sinks, *more)


def _read(where: str, name: str, table: Any) -> SinkSettings:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table is needed; write [delivery.{name}]")
    to = table.get("to", name)
    if not isinstance(to, str) or to not in KEYS:
        near = nearest(str(to), KEYS)
        raise ConfigError(f"{where}.to: {to!r} is none of {', '.join(KEYS)}{near}")
    allowed = (*COMMON, *KEYS[to])
    for key in table:
        if key not in allowed:
            raise ConfigError(f"{where}: unknown key {key!r} of a {to}{nearest(key, allowed)}")
    severity = table.get("severity", "warning")
    if severity not in SEVERITIES:
        raise ConfigError(f"{where}.severity: {severity!r} is none of {', '.join(SEVERITIES)}"
                          f"{nearest(str(severity), SEVERITIES)}")
    made = SinkSettings(
        name, to, severity, _flag(where, table, "resolved"), _command(where, table),
        _timeout(where, table), _text(where, table, "url"), _text(where, table, "url_env"),
        _text(where, table, "token_env"), _text(where, table, "path"),
        _form(where, table), _flag(where, table, "force"),
    )  # fmt: skip
    _complete(where, made)
    return made


def _complete(where: str, made: SinkSettings) -> None:
    """Complain of what a sink of its kind cannot do without."""
    if made.to == "exec" and not made.command:
        raise ConfigError(f'{where}.command: a list is needed, such as ["notify-send", "llmtop"]')
    if made.to == "file" and not made.path:
        raise ConfigError(f"{where}.path: the path of a file is needed")
    if "url" in KEYS[made.to]:
        if bool(made.url) == bool(made.url_env):
            raise ConfigError(f"{where}: either url or url_env, the name of an environment "
                              "variable that holds it, is needed")
        if made.url and (why := bad_url(made.url)):
            raise ConfigError(f"{where}.url: {why}")


def bad_url(url: str) -> str:
    """Return why an address cannot be used, "" if it can."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    plain = url.isascii() and url.isprintable() and " " not in url
    return "" if usable and plain else "not an address; write https://HOST/PATH"


def _flag(where: str, table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}.{key}: true or false is needed")
    return value


def _text(where: str, table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or (key in table and not value):
        raise ConfigError(f"{where}.{key}: a text is needed")
    return value


def _form(where: str, table: Mapping[str, Any]) -> str:
    form = table.get("form", "auto")
    if form not in FORMS:
        raise ConfigError(f"{where}.form: {form!r} is none of {', '.join(FORMS)}"
                          f"{nearest(str(form), FORMS)}")
    return str(form)


def _command(where: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    words = table.get("command", [])
    if not isinstance(words, list) or not all(
        isinstance(word, str) and "\0" not in word for word in words
    ) or words[:1] == [""]:
        raise ConfigError(f"{where}.command: a list of texts is needed, the program first")
    return tuple(words)


def _timeout(where: str, table: Mapping[str, Any]) -> float:
    value = table.get("timeout", TIMEOUT_SECONDS)
    try:
        seconds = seconds_of(value) if isinstance(value, str) else float(value)
    except (ConfigError, TypeError, ValueError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds <= LONGEST_SECONDS:
        raise ConfigError(f"{where}.timeout: {value!r} is not a time up to a minute; write 10s")
    return seconds
