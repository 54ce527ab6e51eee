"""The numbers in the title of a chart: the newest, or those under the crosshair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from llmtop.metrics import BY_NAME as METRICS_BY_NAME
from llmtop.ui.curve import Curve
from llmtop.ui.rows import Run, text_cells
from llmtop.ui.rows import width as row_cells
from llmtop.ui.specs import ChartSpec
from llmtop.units import split_value

MOST_VALUES = 3
"""Curves named in the title; the others are named at their ends."""
SMOOTHING_FROM = 60
"""Titles narrower than this have no room to say how the line was smoothed."""
MEDIAN = "median"
SECONDS = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"))
WINDOW: Run = ("   5 min", "dim")
BORDER_CELLS = 10
"""Cells of a title row that are corners, spaces and a bit of hairline."""

DERIVED = frozenset({"distribution", "ratio"})
"""Kinds whose number is worked out here: NaN is then nothing that somebody logged."""


def title_values(
    spec: ChartSpec, found: Sequence[Curve], cursor: int | None, smoothing: float, width: int
) -> list[Run]:
    """Return the numbers at the right of the title: the newest, or those under the crosshair.

    Where there is no room for every name, the numbers stand with their colours alone.
    """
    room = width - text_cells(spec.title) - BORDER_CELLS
    if spec.kind == "distribution":
        # Their numbers are wanted more than a second cell of the hairline.
        return _percentiles(spec, found, cursor, room + 1)
    shown = [c for c in found if not c.faint][:MOST_VALUES]
    out: list[Run] = []
    for named, spread in ((shown, True), (shown, False), (shown[1:], False), ([], False)):
        out = []
        for curve in shown:
            out += _value(spec, shown, curve, cursor, named)
            out += _spread(spec, curve, cursor) if spread else []
        if row_cells(out) <= room:
            break
    if smoothing > 0 and spec.kind == "gauge" and width >= SMOOTHING_FROM and shown:
        out.append((f"   ema {smoothing:g}".replace("0.", "."), "dim"))
    return out


def _percentiles(
    spec: ChartSpec, found: Sequence[Curve], cursor: int | None, room: int
) -> list[Run]:
    """Return percentiles, their window and the mean beside them, as far as there is room."""
    shown = found[:MOST_VALUES][::-1]
    out: list[Run] = []
    # Where there is no room for all, the middle one says least.
    for some in (shown, shown[::2], shown[-1:]):
        out = [run for curve in some for run in _value(spec, some, curve, cursor, some)]
        if row_cells(out) <= room:
            break
    if cursor is None and row_cells([*out, WINDOW]) <= room:
        mean = shown[0].mean if shown else np.nan
        number, unit = split_value(mean, spec.unit)
        beside: list[Run] = [("  mean ", "dim"), (number, "bright"), (f" {unit}", "dim")]
        fits = mean == mean and row_cells([*out, *beside, WINDOW]) <= room
        out += [*(beside if fits else ()), WINDOW]
    return out


def _value(
    spec: ChartSpec, shown: Sequence[Curve], curve: Curve, cursor: int | None,
    named: Sequence[Curve],
) -> Iterator[Run]:
    """Yield what the title says of one of the curves it shows."""
    value = _value_at(curve, cursor)
    if spec.kind in DERIVED and value is not None and np.isnan(value):
        value = None  # Too few observations for this percentile; nothing to make a ratio of.
    number, unit = split_value(value, spec.unit + ("/s" if spec.kind == "counter" else ""))
    if curve is not shown[0]:
        yield "  ", "blank"
    if len(shown) == 1 and named and (curve.among or curve.spread):
        yield f"{curve.name if curve.among else MEDIAN} ", "dim"
    if len(shown) > 1:
        if spec.kind != "distribution":
            yield "● ", f"{'raw' if curve.faint else 'series'}-{curve.colour % 6 + 1}"
        if any(curve is one for one in named):
            yield f"{short_name(curve.name).removesuffix(' ' + spec.title)} ", "dim"
    if curve.bucket is not None and cursor is None and value is not None:
        number, unit = _bounds(curve.bucket)
    elif curve.mark and cursor is None and value is not None:
        yield curve.mark, "dim"
    yield number, "bright"
    if unit and (len(shown) == 1 or curve is shown[-1] or spec.unit == "seconds"):
        yield f" {unit}", "dim"


def _bounds(bucket: tuple[float, float]) -> tuple[str, str]:
    """Return the bounds of a latency as text and unit."""
    low, high = bucket
    scale, unit = next((one for one in SECONDS if high * one[0] >= 1), SECONDS[-1])
    return (f"{low * scale:.3g}..{high * scale:.3g}" if low > 0 else f"<{high * scale:.3g}"), unit


def _spread(spec: ChartSpec, curve: Curve, cursor: int | None) -> Iterator[Run]:
    """Yield what the ranks' least and greatest value is; of one rank, the median before them."""
    of = curve.among or curve
    edges = of.spread
    if cursor is not None and edges is not None and of.low is not None and of.high is not None:
        if not 0 <= cursor < len(of.low):
            return
        edges = float(of.low[cursor]), float(of.high[cursor])
    middle = _value_at(of, cursor)
    if edges is None or middle is None or not np.isfinite(edges).all():
        return
    numbers = [split_value(value, spec.unit) for value in (middle, *edges)]
    alike = len({unit for _, unit in numbers}) == 1
    median, low, high = (number if alike else f"{number}{unit}" for number, unit in numbers)
    yield f"  {MEDIAN} {median}  {low}–{high}" if curve.among else f"  {low}–{high}", "dim"


def short_name(name: str) -> str:
    """Return a series name without its last part where the first part tells it apart."""
    first, _, rest = name.partition("/")
    if first in ("train", "eval", "val", "test") and rest:
        return first
    if name.startswith(("eval_", "val_")):
        return "eval"
    metric = METRICS_BY_NAME.get(name)
    return metric.title if metric else name.rpartition("/")[2]


def _value_at(curve: Curve, cursor: int | None) -> float | None:
    if cursor is None and curve.latest is not None:
        return curve.latest
    line = curve.line
    if cursor is not None and 0 <= cursor < len(line):
        if curve.points:
            line = line[: cursor + 1]
        else:
            value = float(line[cursor])
            return None if np.isnan(value) else value
    finite = np.flatnonzero(np.isfinite(line))
    return float(line[finite[-1]]) if len(finite) else None
