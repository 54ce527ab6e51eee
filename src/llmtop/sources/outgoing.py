"""What a hub has for its reader since the last batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from llmtop.samples import (
    Batch,
    Bucketed,
    Event,
    Histogram,
    RunEnd,
    RunInfo,
    Samples,
    SeriesInfo,
    WireFrame,
)
from llmtop.sources.session import History, Session
from llmtop.wire import RECORD, Frame, Kind

_new_frame = tuple.__new__


@dataclass(slots=True)
class Outgoing:
    """A batch in the making."""

    runs: list[RunInfo] = field(default_factory=list)
    series: list[SeriesInfo] = field(default_factory=list)
    history: list[History] = field(default_factory=list)
    counted: list[Bucketed] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ends: list[RunEnd] = field(default_factory=list)
    frames: list[WireFrame] = field(default_factory=list)
    clocks: list[tuple[str, float]] = field(default_factory=list)
    alive: tuple[str, ...] = ()
    dropped: int = 0

    def introduce(self, info: RunInfo) -> None:
        """Add a run that is there; an end of it that was not passed on yet is none."""
        self.runs.append(info)
        self.ends = [end for end in self.ends if end.run != info.key]

    def keep(self, run: str, frame: Frame) -> None:
        """Add a frame as it came."""
        data = bytes(frame.payload.obj)
        self.frames.append(WireFrame(run, frame.kind, frame.seq, frame.count, data))

    def keep_next(self, session: Session, data: bytes) -> None:
        """Add the newest DATA of a session, as it came."""
        seq, count = (session.sequence.expected or 1) - 1, len(data) // RECORD.size - 1
        self.frames.append(_new_frame(WireFrame, (session.info.key, Kind.DATA, seq, count, data)))

    def batch(self, samples: Samples | None, *, caught_up: bool) -> Batch | None:
        """Return all of it, None if that is nothing."""
        rows = [part for part in self.history if not isinstance(part, Histogram)]
        some = (self.runs or self.series or self.history or self.counted or samples is not None
                or self.events or self.ends or self.clocks or self.alive or self.dropped
                or caught_up)
        return Batch(
            tuple(self.runs), tuple(self.series), np.concatenate(rows) if rows else None,
            tuple(part for part in self.history if isinstance(part, Histogram)), samples,
            tuple(self.events), tuple(self.ends), self.alive, self.dropped, caught_up,
            bucketed=tuple(self.counted), clocks=tuple(self.clocks), frames=tuple(self.frames),
        ) if some else None  # fmt: skip
