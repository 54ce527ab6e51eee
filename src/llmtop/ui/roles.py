"""The colours charts and tables name by role, and how a theme's variables become styles."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

SERIES = 6
"""Colours a chart tells lines apart by: more than six nobody can."""
RAW_SHARE = 0.42
"""How much of a series' colour its raw samples keep; the rest is background."""
FILL_SHARE = 0.25
"""How much of a series' colour the area under its line keeps."""
FILL_STEPS = {"a": 0.34, "b": 0.25, "c": 0.17, "d": 0.11}
"""The same by row, from the line downwards, for areas that fade."""

NEUTRALS = {
    "chart-frame": 0.27,
    "chart-track": 0.15,
    "chart-grid": 0.09,
    "chart-dim": 0.48,
    "chart-text": 1.0,
}
"""Greys as shares of the foreground over the background, measured on the palette "ink"."""
BRIGHTER = 0.75
"""How far "bright" lies from the foreground to white, or to black on a light theme."""
SERIES_ROLES = ("primary", "warning", "error", "secondary", "success", "accent")

ANSI_VARIABLES = {
    "chart-frame": "ansi_bright_black",
    "chart-track": "ansi_bright_black",
    "chart-grid": "ansi_bright_black",
    "chart-dim": "ansi_bright_black",
    "chart-text": "ansi_default",
    "chart-bright": "ansi_bright_white",
}
"""What the 16 colours have instead of blends."""

PLAIN_ROLES = {
    "blank": "chart-text",
    "text": "chart-text",
    "dim": "chart-dim",
    "bright": "chart-bright",
    "grid": "chart-grid",
    "axis": "chart-dim",
    "frame": "chart-frame",
    "track": "chart-track",
    "label": "chart-text",
    "title": "chart-text",
    "title-focus": "accent",
    "brand": "accent",
    "key": "accent",
    "selected": "accent",
    "accent": "accent",
    "cursor": "chart-bright",
    "ok": "ok",
    "warning": "warning",
    "critical": "critical",
}
"""Role -> the variable with its colour, for the roles that are not of a series."""

BOLD_ROLES = frozenset({"bright", "title", "title-focus", "brand", "selected", "critical"})
"""What the eye should find first: values, titles, what is wrong."""

_SERIES_VARIABLE = re.compile("series-[1-9]|raw-[1-9]|fill-[1-9](-[a-d])?")

WITHOUT_COLOUR = {
    "bright": Style(bold=True),
    "title": Style(bold=True),
    "title-focus": Style(bold=True, underline=True),
    "brand": Style(bold=True),
    "key": Style(bold=True),
    "selected": Style(bold=True, reverse=True),
    "accent": Style(bold=True),
    "cursor": Style(bold=True),
    "warning": Style(bold=True),
    "critical": Style(bold=True, reverse=True),
    "dim": Style(dim=True),
    "grid": Style(dim=True),
    "axis": Style(dim=True),
    "frame": Style(dim=True),
    "track": Style(dim=True),
    "raw": Style(dim=True),
    "fill": Style(dim=True),
}
"""Role or its first word -> what tells it apart with NO_COLOR."""


def chart_variables(
    colours: Mapping[str, str],
    *,
    dark: bool = True,
    chosen: Mapping[str, str] | None = None,
    series: Sequence[str] | None = None,
    raw_colours: Sequence[str] | None = None,
    raw_share: float | None = None,
) -> dict[str, str]:
    """Return every chart variable: those chosen, and the others derived from Textual's colours.

    Args:
        colours: Textual's own variables, such as "background" and "primary".
        dark: Whether the background is the darker side.
        chosen: Variables a theme sets itself.
        series: SERIES colours of lines.
        raw_colours: SERIES colours of raw samples.
        raw_share: The share of a series' colour its raw samples keep, instead.
    """
    ground, ink = colours["background"], colours["foreground"]
    series = series or [colours[role] for role in SERIES_ROLES]
    variables = {
        "chart-background": ground,
        "ok": colours["success"],
        "warning": colours["warning"],
        "critical": colours["error"],
        **(
            ANSI_VARIABLES
            if _is_ansi(ground) or _is_ansi(ink)
            else {
                **{name: _blend(ground, ink, share) for name, share in NEUTRALS.items()},
                "chart-bright": _blend(ink, "#ffffff" if dark else "#000000", BRIGHTER),
            }
        ),
        **(chosen or {}),
    }
    for number, colour in enumerate(series, 1):
        raw = (
            raw_colours[number - 1]
            if raw_colours
            else _blend(ground, colour, RAW_SHARE if raw_share is None else raw_share)
        )
        variables[f"series-{number}"] = colour
        variables[f"raw-{number}"] = raw
        variables[f"fill-{number}"] = _blend(ground, colour, FILL_SHARE)
        for step, share in FILL_STEPS.items():
            variables[f"fill-{number}-{step}"] = _blend(ground, colour, share)
    variables["chart-raw"] = variables["raw-1"]
    return variables


def role_styles(
    variables: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> dict[str, Style]:
    """Return role -> style on the theme's background; with NO_COLOR, attributes tell roles apart.

    Args:
        variables: `App.theme_variables`, with the defaults of `theme.variable_defaults`.
        environ: The environment, for NO_COLOR.
    """
    names = {role: name for role, name in PLAIN_ROLES.items() if name in variables}
    for name in variables:
        if _SERIES_VARIABLE.fullmatch(name):
            names[name] = name
    if "NO_COLOR" in environ:
        null = Style()
        return {
            role: WITHOUT_COLOUR.get(role, WITHOUT_COLOUR.get(role.split("-")[0], null))
            for role in names
        }
    ground = Color.parse(variables["background"]).rich_color
    return {
        role: Style(
            color=Color.parse(variables[name]).rich_color,
            bgcolor=ground,
            bold=True if role in BOLD_ROLES else None,
        )
        for role, name in names.items()
    }


def drawn_styles(
    variables: Mapping[str, str], filters: Sequence[LineFilter]
) -> dict[str, Style]:
    """Return the role styles as Textual's filters leave them: no row need be filtered again."""
    styles, ground = role_styles(variables), Color.parse(variables["background"])
    segments = [Segment(" ", style) for style in styles.values()]
    for line_filter in filters:
        segments = line_filter.apply(segments, ground)
    return {role: found.style or Style() for role, found in zip(styles, segments, strict=True)}


def _is_ansi(colour: str) -> bool:
    return Color.parse(colour).ansi is not None


def _blend(ground: str, colour: str, share: float) -> str:
    """Return `share` of `colour` over `ground`; the colour itself where it is the terminal's."""
    if _is_ansi(ground) or _is_ansi(colour):
        return colour
    return Color.parse(ground).blend(Color.parse(colour), share).hex
