"""Alerts as plain text."""

from __future__ import annotations

from datetime import datetime
from textwrap import wrap

from llmtop.rules.alert import Alert
from llmtop.units import format_duration, format_number

INDENT = "    "
WIDTH = 100


def alert_lines(
    alert: Alert, *, timed: bool = True, hinted: bool = True, width: int = WIDTH
) -> list[str]:
    """Return an alert in lines: when, how bad, what; below it what moved then, and what to do.

    Args:
        alert: the alert.
        timed: its times are known; else only its step is told.
        hinted: say what to do, too.
        width: cells of a line.
    """
    when = []
    if timed:
        when.append(f"{datetime.fromtimestamp(alert.fired_at or alert.since):%Y-%m-%d %H:%M:%S}")
    if alert.step >= 0:
        when.append(f"step {alert.step:,}")
    parts = [*when, alert.severity, f"{alert.rule}:", alert.message]
    if alert.state == "resolved" and timed and alert.resolved_at is not None:
        parts.append(f"(over after {format_duration(alert.resolved_at - alert.since)})")
    elif alert.state == "resolved":
        parts.append("(over)")
    lines = wrap("  ".join(parts), width, subsequent_indent=INDENT)
    if alert.what_changed:
        moved = ", ".join(f"{name} by {format_number(z, 3)} sigma"
                          for name, z in alert.what_changed)
        lines += wrap(f"moved then: {moved}", width, initial_indent=INDENT,
                      subsequent_indent=INDENT)
    if alert.hint and hinted:
        lines += wrap(alert.hint, width, initial_indent=INDENT, subsequent_indent=INDENT)
    return lines
