"""DATA frames -> what is kept of them in the long run: buckets, histograms, first and last points.

Everything is one table for all series of a run: `series` is a session's number times MAX_SIDS plus
the sid. Buckets hold a power of two of points each, so that folding again merges whole buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.publish.fold import LARGEST_F32, LARGEST_F64
from llmtop.samples import BUCKET_DTYPE
from llmtop.sources.pending import RECORD_DTYPE
from llmtop.wire import HEADER, HIST_SHIFT, MAX_SIDS

BIN_DTYPE = np.dtype([("series", "<u4"), ("bin", "<u2"), ("count", "<u8")])
"""How many values of a distribution were in one bin of the wire's HIST."""
POINT_DTYPE = np.dtype([("series", "<u4"), ("time", "<f8"), ("step", "<i8"), ("value", "<f8")])
ENDS_DTYPE = np.dtype([("first", POINT_DTYPE), ("last", POINT_DTYPE)])
"""The points that buckets round."""
BUCKETS_A_SERIES = 512
"""Twice the columns of a wide chart, as publishers keep them."""
FEWEST_BUCKETS = 16
"""Of a series when there are thousands: still a shape."""
MAX_BUCKETS = 1 << 18
"""Buckets of a run aimed at in all: 16 MiB."""

Rows = NDArray[np.void]


class Folded(NamedTuple):
    """What is older than the DATA that is kept, each ordered by series."""

    rows: Rows
    """Of BUCKET_DTYPE; those of a series follow each other in time."""
    bins: Rows
    """Of BIN_DTYPE."""
    ends: Rows
    """Of ENDS_DTYPE."""


NOTHING = Folded(np.empty(0, BUCKET_DTYPE), np.empty(0, BIN_DTYPE), np.empty(0, ENDS_DTYPE))


def read_points(frames: Sequence[tuple[int, bytes]]) -> Rows:
    """Return the points of (session number, DATA frames one after another), of POINT_DTYPE."""
    numbers: list[int] = []
    counts: list[int] = []
    begins: list[float] = []
    bodies: list[bytes] = []
    for number, data in frames:
        at = 0
        while at < len(data):
            _, _, _, count, _, _, t0 = HEADER.unpack_from(data, at)
            start = at + HEADER.size
            at = start + count * RECORD_DTYPE.itemsize
            bodies.append(data[start:at])
            numbers.append(number)
            counts.append(count)
            begins.append(t0)
    records = np.frombuffer(b"".join(bodies), RECORD_DTYPE)
    points = np.empty(len(records), POINT_DTYPE)
    points["series"] = records["sid"] + np.repeat(np.array(numbers, np.uint32) * MAX_SIDS, counts)
    points["time"] = np.repeat(begins, counts) + records["dt"] * 1e-6
    points["step"], points["value"] = records["step"], records["value"]
    return points


def fold(old: Folded, points: Rows, spread: NDArray[np.uint32], most: int) -> Folded:
    """Return `old` with points that are newer.

    Args:
        old: What was folded before.
        points: Of POINT_DTYPE, those of a series in their order.
        spread: The series that are distributions.
        most: Buckets a series, of finite values and of others.
    """
    points = points[np.argsort(points["series"], kind="stable")]
    finite = np.isfinite(points["value"])
    every = np.union1d(np.unique(old.rows["series"]), np.unique(points["series"]))
    sound = np.isfinite(old.rows["min"])
    lanes = [
        _lane(old.rows[one], points[two], every, most)
        for one, two in ((sound, finite), (~sound, ~finite))
    ]
    rows = np.concatenate(lanes)
    rows = rows[np.argsort(rows["series"], kind="stable")]
    counted = points[finite & np.isin(points["series"], spread)]
    return Folded(rows, _bins(old.bins, counted), _ends(old.ends, points))


def _lane(old: Rows, points: Rows, every: NDArray[np.uint32], most: int) -> Rows:
    """Return at most about `most` buckets a series of old buckets and newer points.

    Args:
        old: Buckets, by series, of finite values only or of others only.
        points: Likewise.
        every: The series there are, ascending.
        most: Buckets a series.
    """
    mine, theirs = (np.searchsorted(every, one["series"]) for one in (old, points))
    before = np.bincount(mine, old["n"], len(every)).astype(np.int64)
    total = before + np.bincount(theirs, minlength=len(every))
    width = 1 << np.ceil(np.log2(np.maximum(total / most, 1))).astype(np.int64)
    starts = np.searchsorted(theirs, np.arange(len(every)))
    nth = before[theirs] + np.arange(len(points)) - starts[theirs]
    fresh = _rows(points, _begins(theirs, nth // width[theirs]))
    rows = np.concatenate([old, fresh])
    rows = rows[np.argsort(rows["series"], kind="stable")]
    where = np.searchsorted(every, rows["series"])
    n = rows["n"].astype(np.int64)
    so_far = np.cumsum(n) - n
    first = np.searchsorted(where, np.arange(len(every)))
    so_far -= so_far[np.minimum(first[where], len(rows) - 1)] if len(rows) else 0
    return _merge(rows, _begins(where, so_far // width[where]))


def _begins(series: NDArray[np.intp], group: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return where a new series or group begins."""
    new = np.ones(len(series), np.bool_)
    new[1:] = (series[1:] != series[:-1]) | (group[1:] != group[:-1])
    return np.flatnonzero(new)


def _rows(points: Rows, begins: NDArray[np.intp]) -> Rows:
    """Return a bucket of the points from each place in `begins` to before the next."""
    rows = np.zeros(len(begins), BUCKET_DTYPE)
    if not len(begins):
        return rows
    value = points["value"]
    ends = np.append(begins[1:], len(points)) - 1
    rows["series"] = points["series"][begins]
    rows["n"] = ends - begins + 1
    time = points["time"]
    rows["t_first"], rows["t_last"] = time[begins], np.maximum.reduceat(time, begins)
    rows["step_first"], rows["step_last"] = points["step"][begins], points["step"][ends]
    if not np.isfinite(value[0]):
        rows["min"] = rows["max"] = rows["last"] = value[ends]
        return rows
    with np.errstate(over="ignore"):
        rows["sum"] = _clamped(np.add.reduceat(value, begins), LARGEST_F64)
    rows["min"] = _clamped(np.minimum.reduceat(value, begins), LARGEST_F32)
    rows["max"] = _clamped(np.maximum.reduceat(value, begins), LARGEST_F32)
    rows["last"] = _clamped(value[ends], LARGEST_F32)
    return rows


def _merge(rows: Rows, begins: NDArray[np.intp]) -> Rows:
    """Return a bucket of the buckets from each place in `begins` to before the next."""
    if len(begins) == len(rows):
        return rows
    ends = np.append(begins[1:], len(rows)) - 1
    out = rows[begins]
    out["n"] = np.minimum(np.add.reduceat(rows["n"].astype(np.int64), begins), (1 << 32) - 1)
    out["t_last"] = np.maximum.reduceat(rows["t_last"], begins)
    out["step_last"], out["last"] = rows["step_last"][ends], rows["last"][ends]
    with np.errstate(over="ignore", invalid="ignore"):
        out["sum"] = _clamped(np.add.reduceat(rows["sum"], begins), LARGEST_F64)
        out["min"] = np.minimum.reduceat(rows["min"], begins)
        out["max"] = np.maximum.reduceat(rows["max"], begins)
    return out


def _clamped(values: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    return np.clip(values, -largest, largest)


def add_bins(*parts: Rows) -> Rows:
    """Return counts with those of the same series and bin added up."""
    every = np.concatenate(parts)
    key = (every["series"].astype(np.uint64) << 16) | every["bin"]
    unique, place = np.unique(key, return_inverse=True)
    out = np.empty(len(unique), BIN_DTYPE)
    out["series"], out["bin"] = unique >> 16, unique & 0xFFFF
    count = np.zeros(len(unique), np.uint64)
    np.add.at(count, place.ravel(), every["count"])
    out["count"] = count
    return out


def _bins(old: Rows, points: Rows) -> Rows:
    if not len(points):
        return old
    fresh = np.empty(len(points), BIN_DTYPE)
    with np.errstate(over="ignore"):
        bits = points["value"].astype(np.float32).view(np.uint32)
    fresh["series"], fresh["bin"], fresh["count"] = points["series"], bits >> HIST_SHIFT, 1
    return add_bins(old, fresh)


def _ends(old: Rows, points: Rows) -> Rows:
    """Return the first point of each series that was ever folded, and the newest."""
    begins = _begins(points["series"], np.zeros(len(points), np.int64))
    stops = np.append(begins[1:], len(points)) - 1 if len(begins) else begins
    fresh = np.empty(len(begins), ENDS_DTYPE)
    fresh["first"], fresh["last"] = points[begins], points[stops]
    known = {int(series): at for at, series in enumerate(old["first"]["series"])}
    places = np.array([known.get(int(s), -1) for s in fresh["first"]["series"]], np.int64)
    out = old.copy()
    seen = places >= 0
    out["last"][places[seen]] = fresh["last"][seen]
    out = np.concatenate([out, fresh[~seen]])
    return out[np.argsort(out["first"]["series"], kind="stable")]
