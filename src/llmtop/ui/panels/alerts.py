"""What is wrong now, what may become wrong, and what was: worst first, with what to try."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip, spread
from llmtop.units import format_duration

if TYPE_CHECKING:
    from llmtop.rules.alert import Alert

BOX_FROM = 5
GLYPHS: dict[str, Run] = {
    "critical": ("▲", "critical"),
    "warning": ("●", "warning"),
    "info": ("◦", "text"),
    "pending": ("…", "dim"),
    "resolved": ("✓", "ok"),
}
"""Severity, or state where that says more -> glyph and role; never by colour alone."""
MOST_PAST = 100


def glyph(alert: Alert) -> Run:
    """Return the mark of an alert."""
    return GLYPHS.get(alert.state) or GLYPHS[alert.severity]


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on: the alerts, and how long they have held, coarsely."""
    ages = tuple(_age(alert, scene.now) for alert in scene.alerts)
    return scene.alerts, scene.pending, scene.past, ages


def strip(scene: Scene, size: Size) -> list[Row]:
    """Return one line an alert, for the Overview: those that fire, then those that are over."""
    columns, lines = inner(size, BOX_FROM)
    shown = [*scene.alerts, *scene.past][:lines]
    body = [_line(alert, scene.now, columns) for alert in shown]
    return framed("alerts", _counts(scene), body, size, BOX_FROM)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the whole list: rule, value, since, what to try, and what moved then."""
    columns, lines = inner(size, BOX_FROM)
    body: list[Row] = []
    for title, some in (("firing", scene.alerts), ("pending", scene.pending),
                        ("resolved", scene.past[:MOST_PAST])):
        found = list(_matching(some, scene.view.filter))
        if not found:
            continue
        if body:
            body.append(())
        body.append(((title, "title"), (f"  {len(found)}", "dim")))
        for alert in found:
            body.append(_line(alert, scene.now, columns))
            body += _details(alert, columns, hinted=title != "resolved")
    if not body:
        body = [(("✓ ", "ok"), ("nothing is wrong, as far as the rules can tell", "text")),
                (("llmtop alerts", "accent"), (" lists them", "dim"))]
    return framed("alerts", _counts(scene), body[:lines], size, BOX_FROM)


def _matching(alerts: Iterable[Alert], needle: str) -> Iterable[Alert]:
    needle = needle.lower()
    return (one for one in alerts if needle in f"{one.rule} {one.where} {one.message}".lower())


def _line(alert: Alert, now: float, cells: int) -> Row:
    """Return one alert in a line: glyph, time, message, and how long it has held at the right."""
    mark, role = glyph(alert)
    when = alert.fired_at or alert.since
    clock = datetime.fromtimestamp(when).strftime("%H:%M:%S")
    shade = role if alert.state == "firing" and not alert.acknowledged else "text"
    where = [] if alert.run_name in alert.message else [(alert.where + "  ", "dim")]
    seen: list[Run] = [(" seen", "dim")] if alert.acknowledged else []
    left: list[Run] = [(mark + " ", role), (clock + " ", "dim"), *where, (alert.message, shade),
                       *seen]
    return spread(left, [(_age(alert, now), role)], cells, gap=1)


def _details(alert: Alert, cells: int, *, hinted: bool) -> list[Row]:
    """Return what moved then and what to try, indented below an alert."""
    rows: list[Row] = []
    if alert.what_changed:
        moved = ", ".join(f"{name} {z:+.0f}σ" for name, z in alert.what_changed)
        rows.append(clip([("           moved then  ", "dim"), (moved, "text")], cells))
    hint = wrap(alert.hint, max(20, cells - 24)) if hinted else []
    for number, part in enumerate(hint):
        rows.append(clip([("           try         " if not number else " " * 23, "dim"),
                          (part, "text")], cells))
    return rows


def _age(alert: Alert, now: float) -> str:
    """Return how long an alert has held, or held; coarse enough to stand still."""
    over = alert.resolved_at is not None
    seconds = max(0.0, (alert.resolved_at or now) - alert.since)
    if seconds < 5:
        return "" if over else "now"
    text = format_duration(seconds // 5 * 5 if seconds < 60 else seconds).split()[0]
    return f"for {text}" if over else text


def _counts(scene: Scene) -> list[Run]:
    out: list[Run] = []
    for count, word, role in ((len(scene.alerts), "firing", "critical"),
                              (len(scene.pending), "pending", "dim"),
                              (len(scene.past), "resolved", "dim")):
        if count:
            out += [("  " if out else "", "blank"), (f"{count} {word}", role)]
    return out


def worst(scene: Scene) -> list[Run]:
    """Return the header's words: how many critical and warning alerts fire."""
    out: list[Run] = []
    for severity in ("critical", "warning"):
        count = sum(one.severity == severity and not one.acknowledged for one in scene.alerts)
        if count:
            mark, role = GLYPHS[severity]
            out += [("  " if out else "", "blank"), (f"{mark} {count} {severity}", role)]
    return out


CONTENT = Content("alerts", frame, signature)
STRIP = Content("alerts", strip, signature)
