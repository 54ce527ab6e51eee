"""History: frames that leave the ring -> decimating buckets, and histograms of distributions.

A lane is a list of buckets of equally many points; when it is full, pairs merge and the width
doubles. Finite values and others have lanes of their own, so that a bucket's minimum, maximum and
sum are always of numbers. What a bucket rounds, the first and the last point, is kept beside them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from math import isfinite

from llmtop.publish.ring import records_of
from llmtop.wire import BIN, BUCKET, HEADER, HIST_SHIFT, RECORD, SID, hist_bin

BUCKETS_A_LANE = 512
"""Buckets of one series: twice the columns of a wide chart."""
FEWEST_BUCKETS = 16
"""Buckets of one series when there are thousands: still a shape."""
MAX_BUCKETS = 65_536
"""Buckets a run aims at in all: 4 MiB, which a late monitor is sent in a second."""
MAX_BINS = 131_072
"""Histogram bins of a run in all: 100 latencies over 20 octaves each; some 13 MB at the worst."""
LARGEST_F32 = 3.4028234663852886e38
LARGEST_F64 = 1.7976931348623157e308

Point = tuple[int, int, float]
"""Microseconds after t0, step, value."""
Ends = tuple[tuple[float, int, float], tuple[float, int, float]]
"""The first and the last point of a series: unix time, step, value."""
Bucket = tuple[int, int, float, float, int, int, float, float, float, float, float]
"""A BUCKETS record: sid, n, t_first, t_last, step_first, step_last, sum, min, max, last, pad."""


def join(a: Bucket, b: Bucket) -> Bucket:
    """Return the bucket of the points of `a` and then of `b`."""
    return (
        a[0], a[1] + b[1], a[2], b[3], a[4], b[5], _clamped(a[6] + b[6], LARGEST_F64),
        min(a[7], b[7]), max(a[8], b[8]), b[9], 0.0,
    )  # fmt: skip


def _clamped(value: float, largest: float) -> float:
    return min(max(value, -largest), largest)


class Lane:
    """The buckets of one series, of its finite values or of the others."""

    def __init__(self, sid: int, finite: bool) -> None:
        self._sid, self._finite = sid, finite
        self._width = 1
        self._closed = bytearray()
        self._open: Bucket | None = None

    def add(self, t0: float, points: list[Point], most: int) -> None:
        """Fold points in; keep at most `most` closed buckets."""
        at = 0
        while at < len(points):
            room = self._width - (self._open[1] if self._open else 0)
            folded = self._fold(t0, points[at : at + room])
            at += room
            self._open = folded if self._open is None else join(self._open, folded)
            if self._open[1] >= self._width:
                self._closed += BUCKET.pack(*self._open)
                self._open = None
                if len(self._closed) >= most * BUCKET.size:
                    self._halve()

    def _fold(self, t0: float, points: list[Point]) -> Bucket:
        values = [point[2] for point in points]
        total, low, high, last = 0.0, values[-1], values[-1], values[-1]
        if self._finite:
            total = _clamped(sum(values), LARGEST_F64)
            low, high, last = (
                _clamped(value, LARGEST_F32) for value in (min(values), max(values), last)
            )
        first, final = points[0], points[-1]
        return (
            self._sid, len(points), t0 + first[0] * 1e-6, t0 + final[0] * 1e-6,
            first[1], final[1], total, low, high, last, 0.0,
        )  # fmt: skip

    def _halve(self) -> None:
        buckets: list[Bucket] = list(BUCKET.iter_unpack(self._closed))
        pairs = [join(a, b) for a, b in zip(buckets[::2], buckets[1::2], strict=False)]
        if len(buckets) % 2:
            pairs.append(buckets[-1])
        self._closed = bytearray(b"".join(BUCKET.pack(*pair) for pair in pairs))
        self._width *= 2

    def packed(self) -> bytes:
        """Return all buckets, oldest first."""
        return bytes(self._closed) + (BUCKET.pack(*self._open) if self._open else b"")


class History:
    """Everything of one session that is older than its ring."""

    def __init__(self, is_distribution: Callable[[int], bool]) -> None:
        self._is_distribution = is_distribution
        self.ends: dict[int, Ends] = {}
        """By sid, of the points that were folded."""
        self._lanes: dict[tuple[int, bool], Lane] = {}
        self._bins: dict[int, Counter[int]] = {}
        self._bin_count = 0

    def fold(self, frame: bytes) -> None:
        """Take in a DATA frame that leaves the ring."""
        t0: float = HEADER.unpack_from(frame)[6]
        groups: dict[int, list[Point]] = {}
        for sid, dt, step, value in RECORD.iter_unpack(records_of(frame)):
            group = groups.get(sid)
            if group is None:
                group = groups[sid] = []
            group.append((dt, step, value))
        for sid, points in groups.items():
            first, last = _at(t0, points[0]), _at(t0, points[-1])
            self.ends[sid] = (self.ends[sid][0] if sid in self.ends else first, last)
            total = sum(point[2] for point in points)
            finite = points
            if not isfinite(total):
                finite = [point for point in points if isfinite(point[2])]
                others = [point for point in points if not isfinite(point[2])]
                self._add(t0, sid, False, others)
            self._add(t0, sid, True, finite)
            if self._is_distribution(sid):
                self._count(sid, [point[2] for point in finite])

    def _add(self, t0: float, sid: int, finite: bool, points: list[Point]) -> None:
        if points:
            lane = self._lanes.get((sid, finite))
            if lane is None:
                lane = self._lanes[sid, finite] = Lane(sid, finite)
            share = MAX_BUCKETS // len(self._lanes)
            lane.add(t0, points, max(FEWEST_BUCKETS, min(BUCKETS_A_LANE, share)))

    def _count(self, sid: int, values: list[float]) -> None:
        """Add to a histogram; new bins beyond MAX_BINS are left to the buckets."""
        bins = self._bins.setdefault(sid, Counter())
        before = len(bins)
        found = Counter(bins_of(values))
        if self._bin_count >= MAX_BINS:
            found = Counter({one: count for one, count in found.items() if one in bins})
        bins.update(found)
        self._bin_count += len(bins) - before

    def buckets(self) -> Iterator[bytes]:
        """Yield the packed BUCKETS records of each lane."""
        for lane in self._lanes.values():
            yield lane.packed()

    def histograms(self) -> Iterator[tuple[int, bytes]]:
        """Yield number of bins and HIST payload of each distribution."""
        for sid, bins in self._bins.items():
            packed = [BIN.pack(one, min(count, 0xFFFFFFFF)) for one, count in bins.items()]
            yield len(packed), SID.pack(sid) + b"".join(packed)


def _at(t0: float, point: Point) -> tuple[float, int, float]:
    return t0 + point[0] * 1e-6, point[1], point[2]


def bins_of(values: list[float]) -> list[int]:
    """Return the log-linear bin of each value, as wire.hist_bin does one by one."""
    try:
        packed = struct.pack(f"<{len(values)}f", *values)
    except OverflowError:
        return [hist_bin(value) for value in values]
    return [bits >> HIST_SHIFT for bits in struct.unpack(f"<{len(values)}I", packed)]
