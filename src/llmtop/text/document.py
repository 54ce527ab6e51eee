"""`--json`: everything the store knows of every series, at full precision, as one strict document.

Every attempt of a run is in it. JSON has no word for NaN and the infinities: where one was
logged it is the string "NaN", "Infinity" or "-Infinity"; what does not exist is null. A series
without a point is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from llmtop.rules.alert import Alert
from llmtop.rules.entry import alert_entry
from llmtop.store import Run, Series, Store
from llmtop.text.lost import dropped

VERSION = 1
"""Grows when a field changes its meaning or goes; new fields may come without it."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def render_json(store: Store, alerts: Sequence[Alert] = ()) -> str:
    """Return the document, with the alerts that there are."""
    document = {
        "version": VERSION,
        "runs": [_run(run) for run in store.runs if not run.is_host],
        "hosts": [_host(run) for run in store.runs if run.is_host],
        "alerts": [alert_entry(alert) for alert in alerts],
        "dropped": dropped(store),
    }
    # ASCII, so that any stdout can take it; strict, so that any reader can.
    return json.dumps(document, ensure_ascii=True, allow_nan=False)


def _run(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "host": run.host,
        "pid": run.pid or None,
        "phase": run.phase,
        "state": run.state,
        "step": _step(run.step),
        "total_steps": run.total_steps,
        "source": run.source,
        "series": [_series(series) for series in run.series if series.n],
    }


def _host(run: Run) -> dict[str, Any]:
    """Return a machine: its series, its devices and who uses them."""
    return {
        # First, so that no tag takes the place of what is known.
        **{name: _plain(value) for name, value in run.tags.items()},
        "name": run.name,
        "state": run.state,
        "source": run.source,
        "series": [_series(series) for series in run.series if series.n],
    }


def _plain(value: object) -> Any:
    """Return a tag so that strict JSON can say it."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return _number(value) if isinstance(value, float) else value


def _series(series: Series) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": series.name,
        "metric": series.metric.name if series.metric else None,
        "rank": series.rank,
        "attempt": series.attempt,
        "derived": series.derived,
        "unit": series.unit,
        "kind": series.kind,
        "n": series.n,
        "first": _point(series.first),
        "last": _point(series.last),
        "min": _known(series.min),
        "max": _known(series.max),
        "mean": _known(series.mean),
    }
    if series.kind == "counter":
        out["total"] = _number(series.sum)
    if series.kind == "distribution":
        found = series.quantiles(list(QUANTILES.values()))
        out.update(zip(QUANTILES, map(_known, found.values.tolist()), strict=True))
        out["method"] = "exact" if found.exact else found.method
        if found.low is not None and found.high is not None:
            out["bounds"] = {
                q: [_known(low), _known(high)] for q, low, high in
                zip(QUANTILES, found.low.tolist(), found.high.tolist(), strict=True)
            }
    return out


def _point(point: tuple[int, float, float] | None) -> list[int | float | str | None] | None:
    """Return [step, time, value]."""
    if point is None:
        return None
    step, time, value = point
    return [_step(step), _number(time), _number(value)]


def _step(step: int) -> int | None:
    return step if step >= 0 else None


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _known(value: float) -> float | str | None:
    """Return what is said of the finite values of a series: null when it has none."""
    return None if math.isnan(value) else _number(value)
