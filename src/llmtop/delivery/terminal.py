"""The bell, and notifications of the desktop that the terminal shows for us: OSC 9, 99 and 777.

A notification is text in the stream that only a terminal that knows it takes out again, so that it
is sent to those alone that are known to, and through tmux or screen only if the user says that they
pass it on (tmux: `set -g allow-passthrough on`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

from llmtop.delivery.forms import headline
from llmtop.rules.alert import Alert

BELL = "\a"
END = "\x1b\\"
MOST = 3
"""Notifications at a time; another says how many more there are."""
MAX_CHARS = 200
"""Of a title or a text: more is cut by every desktop."""
PROGRAMS = {"iTerm.app": "osc9", "WezTerm": "osc9", "ghostty": "osc777"}
"""$TERM_PROGRAM of terminals -> the form they show."""


def form_of(environ: Mapping[str, str]) -> str:
    """Return the form that the terminal shows, "" if it is not known to show any."""
    term = environ.get("TERM", "")
    if environ.get("KITTY_WINDOW_ID") or term == "xterm-kitty":
        return "osc99"
    if term.startswith(("foot", "rxvt")) or environ.get("VTE_VERSION"):
        return "osc777"
    return PROGRAMS.get(environ.get("TERM_PROGRAM", ""), "")


def multiplexer(environ: Mapping[str, str]) -> str:
    """Return what stands between us and the terminal: tmux, screen or ""."""
    if environ.get("TMUX"):
        return "tmux"
    return "screen" if environ.get("STY") else ""


def unable(form: str, force: bool, environ: Mapping[str, str]) -> str:
    """Return why no notification is sent, "" if there is no reason."""
    between = multiplexer(environ)
    if between and not force:
        return f"off in {between}, unless it passes them on and force = true"
    if form == "auto" and not form_of(environ) and not between:
        return "this terminal is not known to show any; form chooses one"
    return ""


def notifications(
    alerts: Sequence[Alert], form: str, environ: Mapping[str, str]
) -> str:
    """Return what has the terminal show alerts, MOST of them and how many more there are.

    Args:
        alerts: what to show.
        form: one of the forms, or "auto".
        environ: the environment, which tells the terminal.
    """
    chosen = form if form != "auto" else form_of(environ) or "osc9"
    write = _WRITERS[chosen]
    shown = [(f"llmtop {headline(one)}", one.hint or one.rule, one.severity == "critical")
             for one in alerts[:MOST]]
    if len(alerts) > MOST:
        shown.append((f"llmtop: {len(alerts) - MOST} more alerts", "", False))
    wrap = _WRAPPERS[multiplexer(environ)]
    return "".join(wrap(write(_clean(title), _clean(text), urgent))
                   for title, text, urgent in shown)


def _clean(text: str) -> str:
    """Return printable text, which cannot end the sequence that it stands in."""
    line = " ".join(text.split())
    return "".join(c for c in line if c.isprintable())[:MAX_CHARS]


def _osc9(title: str, text: str, urgent: bool) -> str:
    return f"\x1b]9;{title}{END}"


def _osc99(title: str, text: str, urgent: bool) -> str:
    # One with the name of another takes its place.
    name = f"i=llmtop-{zlib.crc32(title.encode()):08x}"
    level = ":u=2" if urgent else ""
    return f"\x1b]99;{name}:d=0{level};{title}{END}\x1b]99;{name}:p=body;{text}{END}"


def _osc777(title: str, text: str, urgent: bool) -> str:
    # A semicolon ends the title.
    return f"\x1b]777;notify;{title.replace(';', ',')};{text}{END}"


_WRITERS: Mapping[str, Callable[[str, str, bool], str]] = {
    "osc9": _osc9, "osc99": _osc99, "osc777": _osc777,
}  # fmt: skip
_WRAPPERS: Mapping[str, Callable[[str], str]] = {
    "": str,
    "tmux": lambda text: "\x1bPtmux;" + text.replace("\x1b", "\x1b\x1b") + END,
    # Screen's own sequence ends where one within it does, so that those end by a bell.
    "screen": lambda text: "".join(f"\x1bP{part}\a{END}" for part in text.split(END) if part),
}
"""How a sequence gets through what stands between."""
