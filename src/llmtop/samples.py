"""What flows from a source to the store: columnar batches and the facts around them.

A `Batch` is applied in this order: runs, series, buckets, histograms, bucketed counts, samples,
events, ends. A source that needs another order yields several batches. Series keys are the
source's own numbers (unique within that source); the store gives each its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

SeriesKind = Literal["gauge", "counter", "distribution"]
Better = Literal["up", "down", ""]
EndReason = Literal["finished", "failed", "died"]

NO_STEP = -1

BUCKET_DTYPE = np.dtype(
    [
        ("series", "<u4"), ("n", "<u4"), ("t_first", "<f8"), ("t_last", "<f8"),
        ("step_first", "<i8"), ("step_last", "<i8"), ("sum", "<f8"),
        ("min", "<f4"), ("max", "<f4"), ("last", "<f4"), ("pad", "<f4"),
    ]
)
"""One folded stretch of a series; laid out as the wire's BUCKETS record (64 bytes)."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One columnar batch of n points, in arrival order."""

    series: NDArray[np.uint32]
    """Shape (n,): the source's series keys."""
    time: NDArray[np.float64]
    """Shape (n,): unix seconds."""
    step: NDArray[np.int64]
    """Shape (n,): training steps, -1 = none."""
    value: NDArray[np.float64]
    """Shape (n,): values; NaN and infinities are data."""

    def __len__(self) -> int:
        return len(self.series)


class Sample(NamedTuple):
    """One point."""

    time: float
    """Unix seconds."""
    step: int
    """-1 = none."""
    value: float


class Ends(NamedTuple):
    """The first and the last point of folded history, which rounds them."""

    first: Sample
    last: Sample


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One publisher session (a process's life), as it introduced itself."""

    key: str
    """Unique in its source: the wire session in hex, or the path of a file."""
    name: str
    host: str = ""
    pid: int = 0
    rank: int | None = None
    world_size: int | None = None
    phase: str = "train"
    started: float = 0.0
    total_steps: int | None = None
    source: str = "local"
    tags: Mapping[str, object] = field(default_factory=dict)
    stoppable: bool = False
    """It has said that it may be asked to stop, and this is where it listens."""


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One named series of a session."""

    key: int
    run: str
    name: str
    kind: SeriesKind = "gauge"
    unit: str = ""
    better: Better = ""
    bucketed: bool = False
    """A distribution of which only counts by bucket are known; it gets `Bucketed`, no samples."""
    ends: Ends | None = None
    """Of the `buckets` that will come; a series introduced again brings those of its new ones."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Increments of a log-linear histogram (64 bins an octave of the float32 pattern)."""

    series: int
    bins: NDArray[np.uint16]
    counts: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Bucketed:
    """Observations that a server counted, by buckets of its own, between two looks at it."""

    series: int
    start: float
    """Unix seconds of the look before."""
    stop: float
    bounds: NDArray[np.float64]
    """Shape (b,): upper bounds, ascending, the last one infinity."""
    counts: NDArray[np.int64]
    """Shape (b,): observations in each bucket alone, none negative."""
    sum: float
    """Of all these observations."""


@dataclass(frozen=True, slots=True)
class Event:
    """A log line, checkpoint or annotation of a run."""

    run: str
    time: float
    level: str
    text: str
    step: int = NO_STEP


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a session: a BYE, or a publisher that died without one."""

    run: str
    time: float
    reason: EndReason
    text: str = ""


class WireFrame(NamedTuple):
    """A DEFS or DATA frame as it came, for whoever passes it on."""

    run: str
    kind: int
    seq: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which a frame has no use for
    """Records of DATA."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source saw since its last batch."""

    runs: tuple[RunInfo, ...] = ()
    series: tuple[SeriesInfo, ...] = ()
    buckets: NDArray[np.void] | None = None
    histograms: tuple[Histogram, ...] = ()
    samples: Samples | None = None
    events: tuple[Event, ...] = ()
    ends: tuple[RunEnd, ...] = ()
    alive: tuple[str, ...] = ()
    """Sessions heard from (a heartbeat counts), whether or not they sent samples."""
    dropped: int = 0
    """Samples lost on the way, as counted by the source or told by the publisher."""
    caught_up: bool = False
    """The source has read everything that existed when it started."""
    status: str | None = None
    """What the source is at or lacks, in a line for the screen; "" nothing, None as before."""
    bucketed: tuple[Bucketed, ...] = ()
    clocks: tuple[tuple[str, float], ...] = ()
    """Sessions whose clocks are found to be so many seconds ahead of this machine's."""
    frames: tuple[WireFrame, ...] = ()
    """What `series` and `samples` of wire sessions were read from, where that is passed on."""
