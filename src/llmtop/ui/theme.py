"""Themes: one TOML file each, from the package and from the user's config folder.

A file gives Textual's roles in `[colors]` and the charts' own in `[chart]`; whatever it leaves out
is derived from the roles, as it is for the themes that come with Textual. A bad file is a message.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from llmtop.errors import ConfigError, nearest
from llmtop.ui.roles import SERIES, chart_variables, drawn_styles, role_styles

toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

__all__ = [
    "SERIES",
    "default_theme",
    "drawn_styles",
    "load_themes",
    "parse_theme",
    "role_styles",
    "theme_folders",
    "variable_defaults",
]

MAX_THEME_BYTES = 64 * 1024
"""A theme file holds about 1 kB; anything this much larger is not one."""

COLOUR_ROLES = (
    "primary",
    "secondary",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "boost",
    "success",
    "warning",
    "error",
)
REQUIRED_ROLES = ("primary", "foreground", "background")
CHART_VARIABLES = {
    "frame": "chart-frame",
    "track": "chart-track",
    "grid": "chart-grid",
    "dim": "chart-dim",
    "text": "chart-text",
    "bright": "chart-bright",
    "ok": "ok",
    "warning": "warning",
    "critical": "critical",
}
CHART_KEYS = ("series", "raw", *CHART_VARIABLES)
TOP_KEYS = ("name", "dark", "ansi", "colors", "chart")

ANSI = {
    "name": "ansi",
    "ansi": True,
    "colors": {
        "primary": "ansi_bright_cyan",
        "secondary": "ansi_bright_blue",
        "accent": "ansi_bright_cyan",
        "foreground": "ansi_default",
        "background": "ansi_default",
        "surface": "ansi_default",
        "panel": "ansi_default",
        "boost": "ansi_default",
        "success": "ansi_green",
        "warning": "ansi_yellow",
        "error": "ansi_bright_red",
    },
    "chart": {
        "series": [
            "ansi_bright_cyan",
            "ansi_bright_yellow",
            "ansi_bright_magenta",
            "ansi_bright_blue",
            "ansi_bright_green",
            "ansi_bright_red",
        ],
        "raw": [
            "ansi_cyan",
            "ansi_yellow",
            "ansi_magenta",
            "ansi_blue",
            "ansi_green",
            "ansi_red",
        ],
    },
}
"""The terminal's own 16 colours: what such a terminal shows best, and the fewest bytes."""


def theme_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return where themes are looked for; a later folder's theme wins over an earlier one's."""
    import llmtop

    package = Path(llmtop.__file__ or "").parent
    shipped = package / "themes"
    if not shipped.is_dir():
        # An editable install: themes/ lies beside src/, and only a wheel has it inside.
        shipped = package.parent.parent / "themes"
    home = Path(environ.get("HOME") or "~").expanduser()
    config = environ.get("XDG_CONFIG_HOME") or home / ".config"
    return [shipped, Path(config) / "llmtop" / "themes"]


def load_themes(folders: Iterable[Path] | None = None) -> tuple[list[Theme], list[str]]:
    """Return the themes found, in order of folder and file name, and a line for each bad file."""
    loaded = {"ansi": parse_theme(ANSI, "ansi")}
    failed: list[str] = []
    for folder in theme_folders() if folders is None else folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                theme = parse_theme(_read(path), path.name)
            except ConfigError as error:
                failed.append(str(error))
            else:
                loaded[theme.name] = theme
    # The 16-colour one comes last: it is for terminals that have no more.
    loaded["ansi"] = loaded.pop("ansi")
    return list(loaded.values()), failed


def default_theme(color_system: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the theme to start with, given rich's name of the terminal's colour system."""
    few = color_system in (None, "standard", "windows") or "NO_COLOR" in environ
    return "ansi" if few else "ink"


def variable_defaults(theme: Theme) -> dict[str, str]:
    """Return every chart variable for a theme that may set none of them itself."""
    return chart_variables(theme.to_color_system().generate(), dark=theme.dark)


def parse_theme(table: Mapping[str, Any], where: str) -> Theme:
    """Return the theme a TOML table describes; its name defaults to the file's.

    Raises:
        ConfigError: A key or value that is not of a theme; the text names `where` and the key.
    """
    _check_keys(table, TOP_KEYS, where, "")
    colors, chart = _table(table, "colors", where), _table(table, "chart", where)
    _check_keys(colors, COLOUR_ROLES, where, "colors.")
    _check_keys(chart, CHART_KEYS, where, "chart.")
    for role in REQUIRED_ROLES:
        if role not in colors:
            raise ConfigError(f"{where}: colors.{role} is missing")
    name = table.get("name", Path(where).stem)
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{where}: name must be a text")
    for key in ("dark", "ansi"):
        if not isinstance(table.get(key, True), bool):
            raise ConfigError(f"{where}: {key} must be true or false")
    roles: dict[str, Any] = {
        role: _colour(value, where, f"colors.{role}") for role, value in colors.items()
    }
    chosen = {
        CHART_VARIABLES[key]: _colour(value, where, f"chart.{key}")
        for key, value in chart.items()
        if key in CHART_VARIABLES
    }
    series = _colours(chart.get("series"), where, "chart.series")
    for role, variable in (("warning", "warning"), ("error", "critical"), ("success", "ok")):
        if variable in chosen:
            roles.setdefault(role, chosen[variable])
    theme = Theme(
        name=name.strip().lower(),
        dark=table.get("dark", True),
        ansi=table.get("ansi", False),
        **roles,
    )
    raw = chart.get("raw")
    chart_colours = chart_variables(
        theme.to_color_system().generate(),
        dark=theme.dark,
        chosen=chosen,
        series=series,
        raw_colours=_colours(raw, where, "chart.raw") if isinstance(raw, list) else None,
        raw_share=None if isinstance(raw, list) else _share(raw, where),
    )
    theme.variables = {**_ansi_variables(theme), **chart_colours}
    return theme


def _ansi_variables(theme: Theme) -> dict[str, str]:
    """Return what Textual's own style sheets refer to only when a theme is of 16 colours."""
    like = BUILTIN_THEMES.get("ansi-dark" if theme.dark else "ansi-light")
    return dict(like.variables) if theme.ansi and like else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_THEME_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path.name}: {error.strerror or error}") from error
    if len(data) > MAX_THEME_BYTES:
        raise ConfigError(f"{path.name}: larger than {MAX_THEME_BYTES // 1024} kB, not a theme")
    try:
        table: dict[str, Any] = toml.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, toml.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    return table


def _check_keys(table: Mapping[str, Any], known: Sequence[str], where: str, prefix: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: no such key {prefix}{key}{nearest(key, known)}")


def _table(table: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: {key} must be a table: [{key}]")
    return found


def _colour(value: object, where: str, key: str) -> str:
    try:
        if not isinstance(value, str):
            raise ColorParseError("not a text")
        Color.parse(value)
    except ColorParseError:
        raise ConfigError(f"{where}: {key} = {value!r} is not a colour like '#58c4ff'") from None
    return value


def _colours(value: object, where: str, key: str) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != SERIES:
        raise ConfigError(f"{where}: {key} must be a list of {SERIES} colours")
    return [_colour(item, where, f"{key}[{index}]") for index, item in enumerate(value)]


def _share(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ConfigError(f"{where}: chart.raw must be a share from 0 to 1 or {SERIES} colours")
    return float(value)
