"""An alert as JSON has it: in documents, to other programs and to the run itself."""

from __future__ import annotations

import math
from typing import Any

from llmtop.rules.alert import Alert


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
