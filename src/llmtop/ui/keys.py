"""The one table of keys: footer, help, palette, bindings and README are made from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key and what it does."""

    keys: str
    """Textual key names, comma-separated."""
    action: str
    """The app's action."""
    show: str
    """The key as a person writes it."""
    label: str
    """One or two words for the footer."""
    help: str
    """One line for the help screen, the palette and the README."""
    footer: int = 0
    """Place in the footer: 1 is dropped last when the line is short, 0 is never shown."""


KEYS: tuple[Key, ...] = (
    Key("question_mark", "help", "?", "help", "show this table", 1),
    Key("slash", "filter", "/", "filter", "show only runs and metrics whose name contains a text",
        5),
    Key("space", "pause", "space", "pause", "freeze the screen; data is still taken in", 3),
    Key("left", "left", "←", "", "pan to earlier; with the cursor on, move it left"),
    Key("right", "right", "→", "", "pan to later; with the cursor on, move it right"),
    Key("plus,equals_sign", "zoom_in", "+", "zoom", "zoom in on the x axis", 7),
    Key("minus", "zoom_out", "-", "", "zoom out"),
    Key("f", "follow", "f", "follow", "follow the newest data again, at full width", 10),
    Key("c", "cursor", "c", "cursor", "switch the cursor on or off, on all panels at once", 9),
    Key("x", "axis", "x", "axis", "next x axis: step, time, elapsed", 6),
    Key("s", "smooth", "s", "smooth", "next smoothing: automatic, none, 0.6, 0.9, 0.97, 0.99", 8),
    Key("l", "log", "l", "log", "logarithmic y axis for the panel in focus", 11),
    Key("up,k", "up", "↑ k", "", "move up the list"),
    Key("down,j", "down", "↓ j", "", "move down the list"),
    Key("r", "outlier", "r", "rank", "the worst rank beside all: hung, slow, silent, dead, else "
        "slowest; again for the next", 14),
    Key("left_square_bracket", "previous_rank", "[", "", "the rank before"),
    Key("right_square_bracket", "next_rank", "]", "", "the rank after"),
    Key("left_curly_bracket", "previous_host", "{", "", "the host before, at its first rank"),
    Key("right_curly_bracket", "next_host", "}", "", "the host after, at its first rank"),
    Key("enter", "open", "enter", "max", "make the panel in focus full screen", 4),
    Key("escape", "back", "esc", "", "back: leave full screen, cursor, rank, filter, zoom, screen"),
    Key("tab", "next_panel", "tab", "panel", "focus the next panel", 12),
    Key("shift+tab", "previous_panel", "shift+tab", "", "focus the previous panel"),
    Key("a", "acknowledge", "a", "", "acknowledge the alerts that fire: seen, still listed"),
    Key("S", "stop_run", "S", "", "ask the selected run to stop, if it allows that; asks first"),
    Key("t", "theme", "t", "theme", "next theme", 13),
    Key("ctrl+l", "repaint", "ctrl+l", "", "repaint the whole screen"),
    Key("ctrl+p", "command_palette", "ctrl+p", "", "search commands"),
    Key("q,ctrl+c", "quit", "q", "quit", "quit", 2),
)

SCREENS: tuple[tuple[str, str, str], ...] = (
    ("1", "overview", "every run, and the selected one drawn large"),
    ("2", "train", "all metrics of the selected run, grouped by prefix"),
    ("3", "serve", "a server: latencies against its promise, load, caches, outcomes"),
    ("4", "gpus", "every GPU, who uses it, and the host, over time"),
    ("5", "alerts", "what is wrong, what was, and what to try"),
    ("6", "log", "what the selected run printed, and its events"),
)
"""Screens by number: key, name, what it shows."""


def rows() -> list[tuple[str, str]]:
    """Return (key, help) of every key, screens included, in the order people learn them."""
    screens = [(key, f"{name.capitalize()}: {text}") for key, name, text in SCREENS]
    return screens + [(key.show, key.help) for key in KEYS]
