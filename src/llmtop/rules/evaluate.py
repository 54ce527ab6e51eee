"""An expression -> true, false or unknown for each target of a frame. Nothing here raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.rules.expression.tree import (
    Absent,
    Arithmetic,
    Compare,
    Condition,
    Fact,
    Not,
    Number,
    Read,
    Value,
    Window,
)
from llmtop.rules.frame import Frame
from llmtop.rules.stretches import REDUCTIONS, Numbers, Stretches
from llmtop.rules.targets import Selection, Target, device_memory
from llmtop.store import Columns
from llmtop.store.arena import F8

EVER = 1e9
"""Seconds of a window that has no length in time."""
Bools = NDArray[np.bool_]
WHOLE = {"min", "max", "mean", "sum", "count", "best", "nonfinite", "first"}
"""Functions that answer for the whole run exactly when they have no window."""


class Truth(NamedTuple):
    """A condition for each target; where `known` is false it is neither."""

    value: Bools
    known: Bools


def judge(condition: Condition, frame: Frame) -> Truth:
    """Return what holds."""
    with np.errstate(all="ignore"):
        return _truth(condition, frame)


def measure(value: Value, frame: Frame) -> Numbers:
    """Return what a number is."""
    with np.errstate(all="ignore"):
        return _numbers(value, frame)


def first_nonfinite(node: Read, frame: Frame, at: int) -> int:
    """Return the step of a target at which the newest stretch of NaN or infinities began, or -1.

    Values in between belong to the stretch if they fit into the window that is asked about.
    """
    chosen, held = frame.selection(node.metric), frame.fetch(node.metric, None, None)
    steps = held.points.step[np.repeat(chosen.target == at, held.counts)]
    bad = np.flatnonzero(
        ~np.isfinite(held.points.value[np.repeat(chosen.target == at, held.counts)]))
    if not len(bad):
        return -1
    apart = (node.window.points if node.window else None) or 1
    breaks = np.flatnonzero(np.diff(bad) > apart)
    return int(steps[bad[breaks[-1] + 1 if len(breaks) else 0]])


def _truth(node: Condition, frame: Frame) -> Truth:
    if isinstance(node, Compare):
        left, right = _numbers(node.left, frame), _numbers(node.right, frame)
        known = left.known & right.known
        return Truth(COMPARE[node.sign](left.value, right.value) & known, known)
    if isinstance(node, Not):
        value, known = _truth(node.condition, frame)
        return Truth(~value & known, known)
    if isinstance(node, Absent):
        counts = frame.stretches(node.metric, node.window, None).counts
        return Truth(counts == 0, np.ones(len(counts), np.bool_))
    left_truth = _truth(node.left, frame)
    if node.word == "and" and left_truth.known.all() and not left_truth.value.any():
        return left_truth
    right_truth = _truth(node.right, frame)
    value = left_truth.value & right_truth.value
    both = left_truth.known & right_truth.known
    if node.word == "and":
        no = (left_truth.known & ~left_truth.value) | (right_truth.known & ~right_truth.value)
        return Truth(value, both | no)
    yes = left_truth.value | right_truth.value
    return Truth(yes, both | yes)


def _numbers(node: Value, frame: Frame) -> Numbers:
    if isinstance(node, Number):
        n = len(frame.targets)
        return Numbers(np.full(n, node.value), np.ones(n, np.bool_))
    if isinstance(node, Fact):
        found = [FACTS[node.name](target, moment)
                 for target, moment in zip(frame.targets, frame.moment.tolist(), strict=True)]
        value = np.array([np.nan if one is None else one for one in found], np.float64)
        return Numbers(value, ~np.isnan(value))
    if isinstance(node, Arithmetic):
        left, right = _numbers(node.left, frame), _numbers(node.right, frame)
        known = left.known & right.known
        if node.sign == "/":
            known = known & (right.value != 0)
        return Numbers(COMPUTE[node.sign](left.value, right.value), known)
    return _read(node, frame)


def _read(node: Read, frame: Frame) -> Numbers:
    if node.function == "rank_ratio":
        return _rank_ratio(node, frame)
    if frame.selection(node.metric).bucketed and (
        node.function in BUCKETED or node.function == "quantile"
    ):
        return _from_server(node, frame)
    if node.window is None and node.skip is None:
        if node.function in WHOLE:
            return _whole(node, frame)
        if node.function in ("last", "age"):
            node = replace(node, window=Window(points=1))
    of = frame.stretches(node.metric, node.window, node.skip)
    if node.function == "quantile":
        of = replace(of, quantile=node.quantile)
    found = REDUCTIONS[node.function](of)
    short = frame.short(node.metric, node.window, node.skip)
    if short and node.function in BUCKETED and (of.counter or node.function in EXACT):
        found = _from_buckets(node, frame, of, found, short)
    return found


def _from_buckets(
    node: Read, frame: Frame, of: Stretches, found: Numbers, short: list[int]
) -> Numbers:
    """Return `found` with the targets whose points are partly folded read from their buckets."""
    chosen = frame.selection(node.metric)
    value, known = found.value.copy(), found.known.copy()
    back = node.skip.seconds or 0.0 if node.skip else 0.0
    span = of.seconds or 0.0
    for place in short:
        stop = float(frame.moment[place]) - back
        parts = [
            (chosen.series[at].buckets("time", stop - span, stop, 1), float(chosen.factor[at]))
            for at in np.flatnonzero(chosen.target == place).tolist()
        ]
        value[place] = BUCKETED[node.function](parts, span)
        known[place] = not np.isnan(value[place])
    return Numbers(value, known)


def _from_server(node: Read, frame: Frame) -> Numbers:
    """Return what a server's own buckets tell, which hold more than the means between looks."""
    chosen = frame.selection(node.metric)
    out = np.full(len(frame.targets), np.nan)
    seconds = (node.window.seconds if node.window else None) or EVER
    back = (node.skip.seconds if node.skip else None) or 0.0
    for place in np.unique(chosen.target).tolist():
        of = [chosen.series[at] for at in np.flatnonzero(chosen.target == place).tolist()]
        stop = float(frame.moment[place]) - back
        if node.function == "quantile":
            # Those of several ranks are not added up: the worst rank's is told.
            found = [one.quantiles([node.quantile], stop - seconds).values[0] for one in of]
            out[place] = np.fmax.reduce(found)
        else:
            parts = [(one.buckets("time", stop - seconds, stop, 1), 1.0) for one in of]
            out[place] = BUCKETED[node.function](parts, seconds)
    return Numbers(out, ~np.isnan(out))


def _whole(node: Read, frame: Frame) -> Numbers:
    """Return a function of everything there ever was, which buckets know too."""
    chosen = frame.selection(node.metric)
    out = np.full(len(frame.targets), np.nan)
    parts: dict[int, list[int]] = {}
    for at, place in enumerate(chosen.target.tolist()):
        if chosen.series[at].n:
            parts.setdefault(place, []).append(at)
    for place, of in parts.items():
        out[place] = _whole_of(node.function, chosen, of)
    return Numbers(out, ~np.isnan(out))


def _whole_of(function: str, chosen: Selection, of: list[int]) -> float:
    series = [chosen.series[at] for at in of]
    factor = float(chosen.factor[of[0]])
    if function == "count":
        return float(sum(one.n for one in series))
    if function == "nonfinite":
        return float(sum(one.nonfinite for one in series))
    if function == "sum":
        return sum(one.sum for one in series) * factor
    if function == "mean":
        n = sum(one.summary().n for one in series)
        return sum(one.sum for one in series) * factor / n if n else np.nan
    if function == "first":
        points = [one.first for one in series if one.first is not None]
        return min(points, key=lambda point: point.time).value * factor
    up = function == "max" or (function == "best" and chosen.better_up)
    ends = [one.max if up else one.min for one in series]
    known = [end for end in ends if not np.isnan(end)]
    return (max(known) if up else min(known)) * factor if known else np.nan


def _rank_ratio(node: Read, frame: Frame) -> Numbers:
    """Return each rank's mean over the median of those of its run's ranks."""
    chosen, fetched = frame.selection(node.metric), frame.fetch(node.metric, node.window, node.skip)
    each = Stretches(fetched.points.time, fetched.points.value, fetched.counts,
                     frame.moment[chosen.target])
    means = REDUCTIONS["mean"](each)
    runs = np.array([frame.targets[at].run.id for at in chosen.target.tolist()], np.int64)
    value = np.full(len(frame.targets), np.nan)
    for run in np.unique(runs).tolist():
        mine = np.flatnonzero((runs == run) & means.known)
        middle = float(np.median(means.value[mine])) if len(mine) > 1 else 0.0
        if middle > 0:
            np.fmax.at(value, chosen.target[mine], means.value[mine] / middle)
    return Numbers(value, ~np.isnan(value))


Buckets = list[tuple[Columns, float]]


def _sum(parts: Buckets, _: float = 0.0) -> float:
    return float(sum(part.sum[0] * factor for part, factor in parts))


def _count(parts: Buckets, _: float = 0.0) -> float:
    return float(sum(part.n[0] + part.bad[0] for part, _ in parts))


def _mean(parts: Buckets, _: float) -> float:
    return _sum(parts) / max(float(sum(part.n[0] for part, _ in parts)), 1.0)


BUCKETED: dict[str, Callable[[Buckets, float], float]] = {
    "sum": _sum, "delta": _sum, "rate": lambda parts, span: _sum(parts) / max(span, 1.0),
    "count": _count, "mean": _mean,
    "min": lambda parts, _: float(np.fmin.reduce([part.low[0] * by for part, by in parts])),
    "max": lambda parts, _: float(np.fmax.reduce([part.high[0] * by for part, by in parts])),
}  # fmt: skip
"""Functions that buckets answer where a window is longer than the raw points reach."""
EXACT = frozenset({"sum", "count", "mean", "min", "max"})
"""Those of them that are not only for counters."""

FACTS: dict[str, Callable[[Target, float], float | None]] = {
    "silence": lambda target, now: max(0.0, now - target.run.last_seen),
    "run_age": lambda target, now: now - target.run.started if target.run.started else None,
    "restarts": lambda target, _: float(target.run.restarts),
    "step": lambda target, _: float(target.run.step) if target.run.step >= 0 else None,
    "device_memory": lambda target, _: device_memory(target.run, target.device),
}
COMPARE: dict[str, Callable[[F8, F8], Bools]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "==": np.equal,
    "!=": lambda left, right: (left != right) & ~np.isnan(left) & ~np.isnan(right),
}  # fmt: skip
COMPUTE: dict[str, Callable[[F8, F8], F8]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
}  # fmt: skip
