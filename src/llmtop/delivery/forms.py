"""What is posted: the alert as JSON, or as a message in the form Slack or Discord take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmtop.rules.alert import Alert
from llmtop.rules.entry import alert_entry
from llmtop.rules.rule import Severity

COLOURS: Mapping[Severity, int] = {"critical": 0xD64545, "warning": 0xE0A030, "info": 0x4A90D9}
OVER = 0x4CAF50
"""Colour of an alert that is over."""
MAX_TITLE = 250
"""Discord takes 256 characters."""


def headline(alert: Alert) -> str:
    """Return an alert in a line."""
    state = "resolved" if alert.state == "resolved" else alert.severity
    return f"{state}: {alert.message or alert.rule}"


def body(alert: Alert) -> str:
    """Return what to say below: where, the rule and its condition, what to try."""
    step = f" at step {alert.step:,}" if alert.step >= 0 else ""
    condition = f" ({alert.threshold})" if alert.threshold else ""
    lines = [f"{alert.where}{step}", f"{alert.rule}{condition}", alert.hint]
    return "\n".join(line for line in lines if line)


def _slack(alert: Alert) -> dict[str, Any]:
    return {
        "text": _escaped(headline(alert)),
        "attachments": [{"color": f"#{_colour(alert):06x}", "text": _escaped(body(alert))}],
    }


def _discord(alert: Alert) -> dict[str, Any]:
    embed = {"title": headline(alert)[:MAX_TITLE], "description": body(alert),
             "color": _colour(alert)}
    # Names of runs must not call anybody.
    return {"username": "llmtop", "embeds": [embed], "allowed_mentions": {"parse": []}}


def _escaped(text: str) -> str:
    """Return text in which Slack finds no links, mentions or marks-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _colour(alert: Alert) -> int:
    return OVER if alert.state == "resolved" else COLOURS[alert.severity]


FORMS: Mapping[str, Callable[[Alert], dict[str, Any]]] = {
    "webhook": alert_entry, "slack": _slack, "discord": _discord,
}  # fmt: skip
"""Kind of sink -> what it is sent."""
