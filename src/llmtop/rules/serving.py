"""What a server's numbers come to: where its requests spend their time, how many are in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmtop.store import Run, Series, share_below

RECENT_SECONDS = 300.0
"""Numbers that stand for now are those of the last five minutes."""
OF_REQUESTS = frozenset({"ttft_seconds", "tpot_seconds", "e2e_seconds", "queue_seconds"})
"""Latencies observed once a request: what a request as a whole keeps or breaks."""
OF_GAPS = {"itl_seconds": "tpot_seconds"}
"""Latency observed many times a request -> what a request as a whole has of it: the mean."""
RATIOS = {
    "prefix_cache_hit_rate": ("prefix_cache_hits", "prefix_cache_queries"),
    "spec_decode_acceptance": ("spec_decode_accepted_tokens", "spec_decode_draft_tokens"),
}
"""Ratio -> counters it is worked out from, over any stretch of time; else it is a gauge itself."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a request's life."""

    name: str
    seconds: float
    """Mean of the requests of the last minutes."""


@dataclass(frozen=True, slots=True)
class Phases:
    """How a mean request spends its time."""

    parts: tuple[Phase, ...]
    derived: bool
    """Prefill and decode are what lies between queue, first token and end: estimates."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How one promised latency was kept."""

    metric: str
    limit: float
    share: float
    """Part of the observations within the limit, 0..1; NaN without any."""
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Goodput:
    """The part of the requests that kept every promise, between what is certain and possible."""

    least: float
    most: float


def series_of(run: Run, metric: str) -> Series | None:
    """Return the newest series of a metric that has points, of the lowest rank."""
    found = [one for one in run.find(metric) if one.n]
    return max(found, key=lambda one: (one.attempt, -(one.rank or 0)), default=None)


def recent_mean(run: Run, metric: str, now: float) -> float:
    """Return the mean of what was observed in the last minutes, NaN where nothing was."""
    series = series_of(run, metric)
    if series is None or series.kind != "distribution":
        return float("nan")
    return series.quantiles((0.5,), now - RECENT_SECONDS).mean


def phases(run: Run, now: float) -> Phases | None:
    """Return queue, prefill and decode, as told or as worked out; None where it is neither."""
    queue, prefill, decode, first, whole = (
        recent_mean(run, f"{name}_seconds", now)
        for name in ("queue", "prefill", "decode", "ttft", "e2e")
    )
    derived = bool(np.isnan(prefill) or np.isnan(decode))
    if derived:
        prefill, decode = max(first - max(queue, 0.0), 0.0) if queue == queue else first, max(
            whole - first, 0.0
        )
    parts = (Phase("queue", queue), Phase("prefill", prefill), Phase("decode", decode))
    known = tuple(part for part in parts if part.seconds == part.seconds)
    if not {part.name for part in known} >= {"prefill", "decode"}:
        return None
    return Phases(known, derived)


def kept(run: Run, slos: Mapping[str, float], now: float) -> list[Kept]:
    """Return how each promise was kept in the last minutes, of the latencies there are."""
    found = []
    for metric, limit in slos.items():
        series = series_of(run, metric)
        if series is not None and series.kind == "distribution":
            share = share_below(series, limit, now - RECENT_SECONDS)
            found.append(Kept(metric, limit, share.value, share.least, share.most))
    return found


def of_requests(slos: Mapping[str, float]) -> dict[str, float]:
    """Return the promises that a request as a whole keeps or breaks; of two, the stricter."""
    found: dict[str, float] = {}
    for metric, limit in slos.items():
        name = OF_GAPS.get(metric, metric)
        found[name] = min(limit, found.get(name, limit))
    return found


def goodput(parts: list[Kept]) -> Goodput | None:
    """Return the part of the requests that kept all promises made a request.

    Latencies are not told request by request, so of several promises only bounds are certain: at
    least as many as if each failure were of another request, at most as the worst alone.
    """
    known = [one for one in parts if one.metric in OF_REQUESTS and one.share == one.share]
    if not known:
        return None
    least = 1.0 - sum(1.0 - one.least for one in known)
    return Goodput(max(least, 0.0), min(one.most for one in known))


def ratio(run: Run, name: str, now: float) -> float:
    """Return a ratio of the last minutes, NaN where it is not known."""
    above, below = (series_of(run, part) for part in RATIOS[name])
    if above is None or below is None:
        gauge = series_of(run, name)
        last = None if gauge is None else gauge.last
        return float("nan") if last is None else last.value
    start = now - RECENT_SECONDS
    of = float(below.buckets("time", start, now, 1).sum[0])
    return float(above.buckets("time", start, now, 1).sum[0]) / of if of > 0 else float("nan")
