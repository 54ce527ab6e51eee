"""The numbers of a run, a row of text for each name: gauges, distributions, counters.

A name that several ranks log is one row over all of them. Only the newest attempt is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from llmtop.metrics import group
from llmtop.samples import SeriesKind
from llmtop.store import Quantiles, Run, Series
from llmtop.units import MISSING, format_value

QUANTILES = (0.5, 0.9, 0.99)
LEAST_SCRAPED = {0.9: 10, 0.99: 100}
"""Observations below which a server's buckets say nothing of a percentile."""
SCRAPED, OPEN = "≈", "≥"
"""Before estimates from a server's own buckets; the second where the bucket has no upper bound."""
RATE_SECONDS = 10.0
"""A counter's rate is that of the last ten seconds."""


@dataclass(frozen=True)
class Row:
    """One name and its values, in the order of the columns of its kind."""

    name: str
    values: tuple[str, ...]
    ranks: int
    """Ranks the row is made of."""


@dataclass(frozen=True)
class Section:
    """How the series of one kind are told."""

    kind: SeriesKind
    titles: tuple[str, ...]
    """Of all columns, most wanted first."""
    values: Callable[[Sequence[Series], float | None], tuple[str, ...]]
    """Series of one name, one a rank, and the time if the run goes on -> texts."""


def rows(run: Run, kind: SeriesKind, now: float) -> list[Row]:
    """Return a row for each name of a kind, names of one prefix together."""
    section = SECTIONS[kind]
    moment = now if run.state in ("live", "stale") else None
    return [
        Row(_called(name, series), section.values(series, moment), len(series))
        for name, series in _newest(run, kind).items()
    ]


def _newest(run: Run, kind: SeriesKind) -> dict[str, list[Series]]:
    """Return the newest attempt's series by name, one a rank; those without a point left out."""
    newest: dict[tuple[str, int | None], Series] = {}
    for series in run.series:
        if series.kind == kind and series.n:
            newest[series.name, series.rank] = series
    order: dict[str, int] = {}
    for name, _ in newest:
        prefix = group(name)
        order.setdefault(prefix, len(order) if prefix else -1)
    names: dict[str, list[Series]] = {}
    for (name, _), series in sorted(newest.items(), key=lambda item: order[group(item[0][0])]):
        names.setdefault(name, []).append(series)
    return names


def _called(name: str, series: Sequence[Series]) -> str:
    ranks = f" x{len(series)}" if len(series) > 1 else ""
    return name + ranks + (" (derived)" if series[0].derived else "")


def _gauge(series: Sequence[Series], _: float | None) -> tuple[str, ...]:
    unit, factor = series[0].quantity, series[0].factor
    last = [one.last.value * factor for one in series if one.last is not None]
    finite = [one.summary() for one in series]
    n = sum(part.n for part in finite)
    return (
        format_value(last[0] if len(last) == 1 else _median(last), unit),
        *_extremes(series),
        _text(sum(part.sum for part in finite) / n * factor if n else math.nan, unit),
        _points(series),
    )


def _distribution(series: Sequence[Series], _: float | None) -> tuple[str, ...]:
    found = [one.quantiles(QUANTILES) for one in series]
    texts = [_worst(found, place, series[0].unit) for place in range(len(QUANTILES))]
    return (*texts, _extremes(series)[1], _points(series))


def _worst(found: Sequence[Quantiles], place: int, unit: str) -> str:
    """Return the highest of several quantiles, with a sign where it is no exact one."""
    value = _highest(part.values[place] for part in found)
    if math.isnan(value):
        return MISSING
    sign = "" if all(part.exact for part in found) else "~"
    if scraped := [part for part in found if part.method == "histogram"]:
        if sum(part.n for part in scraped) < LEAST_SCRAPED.get(QUANTILES[place], 1):
            return MISSING
        open_ended = any(
            part.high is not None and math.isinf(part.high[place]) for part in scraped
        )
        sign = OPEN if open_ended else SCRAPED
        if len(found) == 1 and (bucket := found[0].bucket(place)) is not None:
            low, high = (_text(bound, unit) for bound in bucket)
            return f"{low}..{high}" if bucket[0] > 0 else f"<{high}"
    return sign + _text(value, unit)


def _counter(series: Sequence[Series], now: float | None) -> tuple[str, ...]:
    unit, factor = series[0].quantity, series[0].factor
    rate = math.nan if now is None else sum(one.rate(RATE_SECONDS, now) for one in series)
    return (
        format_value(sum(one.sum for one in series) * factor, unit),
        _text(rate * factor, f"{unit}/s"),
        _points(series),
    )


SECTIONS: dict[SeriesKind, Section] = {
    section.kind: section
    for section in (
        Section("gauge", ("metric", "last", "min", "max", "mean", "n"), _gauge),
        Section("distribution", ("distribution", "p50", "p90", "p99", "max", "n"), _distribution),
        Section("counter", ("counter", "total", "rate", "n"), _counter),
    )
}
"""By kind, in the order they are shown."""


def _extremes(series: Sequence[Series]) -> tuple[str, str]:
    unit, factor = series[0].quantity, series[0].factor
    lowest = -_highest(-one.min for one in series) * factor
    return _text(lowest, unit), _text(_highest(one.max for one in series) * factor, unit)


def _highest(values: Iterable[float]) -> float:
    return max((float(value) for value in values if not math.isnan(value)), default=math.nan)


def _median(values: Iterable[float]) -> float:
    """Return the median of the finite values, NaN if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    return median(finite) if finite else math.nan


def _points(series: Sequence[Series]) -> str:
    odd = sum(one.nonfinite for one in series)
    return f"{sum(one.n for one in series):,}" + (f" ({odd:,} NaN/Inf)" if odd else "")


def _text(value: float, unit: str) -> str:
    """Return a value of finite points: missing where there are none."""
    return format_value(None if math.isnan(value) else value, unit)
