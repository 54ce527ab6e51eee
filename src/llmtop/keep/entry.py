"""What a list tells of a run: taken from the store while it goes on, kept in its file."""

from __future__ import annotations

import math
from typing import Any

from llmtop.store import Run

LOSSES = ("loss", "eval_loss")
"""Whose last value a list shows, the first that a run has."""
OVER = ("finished", "failed", "died")


def summary(run: Run) -> dict[str, Any]:
    """Return what is kept of a run for the list."""
    return {
        "name": run.name, "host": run.host, "phase": run.phase, "started": run.started,
        "seen": run.last_seen, "state": run.state, "reason": run.reason,
        "step": max((rank.step for rank in run.ranks.values()), default=run.step),
        "attempts": run.attempt, "ranks": len(run.ranks), "loss": _last_loss(run),
    }  # fmt: skip


def _last_loss(run: Run) -> float | None:
    for name in LOSSES:
        found = [series.last for series in run.latest(name) if series.n]
        values = [point.value for point in found if point is not None]
        if values and math.isfinite(values[-1]):
            return values[-1]
    return None
