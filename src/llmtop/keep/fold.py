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


class Points(NamedTuple):
    """Columns of the same length."""

    series: NDArray[np.uint32]
    time: NDArray[np.float64]
    """Unix seconds."""
    step: NDArray[np.int64]
    value: NDArray[np.float64]

    def pick(self, which: NDArray[np.generic]) -> Points:
        """Return some of the points, or all of them in another order."""
        return Points(*(column[which] for column in self))

    def rows(self) -> Rows:
        """Return the points of POINT_DTYPE."""
        rows = np.empty(len(self.series), POINT_DTYPE)
        for name, column in zip(POINT_DTYPE.names or (), self, strict=True):
            rows[name] = column
        return rows


def read_points(frames: Sequence[tuple[int, bytes]]) -> Points:
    """Return the points of (session number, DATA frames one after another)."""
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
    first = np.array(numbers, np.uint32) * np.uint32(MAX_SIDS)
    return Points(
        records["sid"] + np.repeat(first, counts),
        np.repeat(begins, counts) + records["dt"] * 1e-6,
        np.ascontiguousarray(records["step"]), np.ascontiguousarray(records["value"]),
    )


def fold(old: Folded, points: Points, spread: NDArray[np.uint32], most: int) -> Folded:
    """Return `old` with points that are newer.

    Args:
        old: What was folded before.
        points: Those of a series are in their order.
        spread: The series that are distributions.
        most: Buckets a series, of finite values and of others.
    """
    points = points.pick(np.argsort(points.series, kind="stable"))
    finite = np.isfinite(points.value)
    every = np.union1d(old.rows["series"][_begins(old.rows["series"])],
                       points.series[_begins(points.series)])
    sound = np.isfinite(old.rows["min"])
    if sound.all() and finite.all():
        rows = _lane(old.rows, points, every, most)
    else:
        lanes = [
            _lane(old.rows[one], points.pick(two), every, most)
            for one, two in ((sound, finite), (~sound, ~finite))
        ]
        rows = _together(*lanes)
    bins = old.bins
    if len(spread):
        bins = _bins(bins, points.pick(finite & np.isin(points.series, spread)))
    return Folded(rows, bins, _ends(old.ends, points))


def _lane(old: Rows, points: Points, every: NDArray[np.uint32], most: int) -> Rows:
    """Return at most about `most` buckets a series of old buckets and newer points.

    Args:
        old: Buckets, by series, of finite values only or of others only.
        points: Likewise.
        every: The series there are, ascending.
        most: Buckets a series.
    """
    mine, theirs = _places(every, old["series"]), _places(every, points.series)
    before = np.bincount(mine, old["n"], len(every)).astype(np.int64)
    counts = np.bincount(theirs, minlength=len(every))
    width = _width(before + counts, most)
    starts = np.cumsum(counts) - counts
    nth = np.arange(len(theirs)) + np.repeat(before - starts, counts)
    fresh = _rows(points, _begins(theirs, nth // np.repeat(width, counts)))
    rows = _together(old, fresh)
    where = _places(every, rows["series"])
    n = rows["n"].astype(np.int64)
    so_far = np.cumsum(n) - n
    counts = np.bincount(where, minlength=len(every))
    first = np.cumsum(counts) - counts
    so_far -= np.repeat(so_far[first[counts > 0]], counts[counts > 0])
    return _merge(rows, _begins(where, so_far // width[where]))


def _take(rows: Rows, which: NDArray[np.generic]) -> Rows:
    """Return some rows; whole ones are moved five times as fast as field by field."""
    taken: Rows = rows.view(f"V{rows.dtype.itemsize}")[which].view(rows.dtype)
    return taken


def join(parts: Sequence[Rows]) -> Rows:
    """Return rows one after another."""
    dtype = parts[0].dtype
    rows: Rows = np.frombuffer(bytearray().join(part.tobytes() for part in parts), dtype)
    return rows


def _together(*parts: Rows) -> Rows:
    """Return all rows, those of a series together, in the order of the parts."""
    rows = join(parts)
    return _take(rows, np.argsort(np.ascontiguousarray(rows["series"]), kind="stable"))


def _width(total: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return how many points a bucket holds where there are at most `most` buckets."""
    width: NDArray[np.int64] = 1 << np.ceil(np.log2(np.maximum(total / most, 1))).astype(np.int64)
    return width


def _places(every: NDArray[np.uint32], series: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Return where among `every` each of some series is, which are in order."""
    begins = _begins(series)
    counts = np.diff(begins, append=len(series))
    return np.repeat(np.searchsorted(every, series[begins]), counts)


def _begins(*columns: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return where any of some columns changes, the first place included."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def _rows(points: Points, begins: NDArray[np.intp]) -> Rows:
    """Return a bucket of the points from each place in `begins` to before the next."""
    rows = np.zeros(len(begins), BUCKET_DTYPE)
    if not len(begins):
        return rows
    value = points.value
    ends = np.append(begins[1:], len(value)) - 1
    rows["series"], rows["n"] = points.series[begins], ends - begins + 1
    rows["t_first"], rows["t_last"] = points.time[begins], np.maximum.reduceat(points.time, begins)
    rows["step_first"], rows["step_last"] = points.step[begins], points.step[ends]
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
    out = _take(rows, begins)
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


def _bins(old: Rows, points: Points) -> Rows:
    if not len(points.series):
        return old
    fresh = np.empty(len(points.series), BIN_DTYPE)
    with np.errstate(over="ignore"):
        bits = points.value.astype(np.float32).view(np.uint32)
    fresh["series"], fresh["bin"], fresh["count"] = points.series, bits >> HIST_SHIFT, 1
    return add_bins(old, fresh)


def _ends(old: Rows, points: Points) -> Rows:
    """Return the first point of each series that was ever folded, and the newest."""
    begins = _begins(points.series)
    fresh = np.empty(len(begins), ENDS_DTYPE)
    fresh["first"] = points.pick(begins).rows()
    fresh["last"] = points.pick(np.append(begins[1:], len(points.series)) - 1).rows()
    both = np.concatenate([old, fresh])
    both = both[np.argsort(both["first"]["series"], kind="stable")]
    # Of a series that is in both, what was folded before comes first.
    begins = _begins(np.ascontiguousarray(both["first"]["series"]))
    out = both[begins]
    out["last"] = both["last"][np.append(begins[1:], len(both)) - 1]
    return out
