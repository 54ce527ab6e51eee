"""Alerts as plain text and as JSON."""

from __future__ import annotations

import math
from datetime import datetime
from textwrap import wrap
from typing import Any

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


def alert_entry(alert: Alert) -> dict[str, Any]:
    """Return an alert as JSON has it; what is not known is null."""
    return {
        "key": alert.key, "rule": alert.rule, "severity": alert.severity, "state": alert.state,
        "run": alert.run_name, "rank": alert.rank, "device": alert.device or None,
        "since": _number(alert.since), "fired_at": _number(alert.fired_at),
        "resolved_at": _number(alert.resolved_at), "step": alert.step if alert.step >= 0 else None,
        "value": _number(alert.value), "unit": alert.unit, "threshold": alert.threshold,
        "message": alert.message, "hint": alert.hint, "acknowledged": alert.acknowledged,
        "what_changed": [[name, _number(z)] for name, z in alert.what_changed],
    }  # fmt: skip


def _number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
