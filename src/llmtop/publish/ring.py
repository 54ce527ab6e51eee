"""The replay ring: the encoded DATA frames of a session, oldest out first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from llmtop.wire import HEADER, Kind, pack

RING_BYTES = 8 << 20
"""What a run keeps for replay: 349 000 samples in full frames."""
FRAME_OVERHEAD = 160
"""Bytes Python adds to a frame: its object, its place and its count; counted as the ring's own."""
EVICTED_COUNTS = 4096
"""Frames whose place is remembered after they left: many times what a socket holds on its way."""


class Ring:
    """Frames by seq, from `first` to before `next`."""

    def __init__(self, session: int, evicted: Callable[[bytes], None], size: int) -> None:
        """Keep `size` bytes of frames; hand what leaves to `evicted`."""
        self._session, self._evicted, self._size = session, evicted, size
        self._frames: dict[int, tuple[int, bytes]] = {}
        self._gone: deque[int] = deque(maxlen=EVICTED_COUNTS)
        self.first = 0
        self.next = 0
        self.bytes = 0
        self.records = 0
        """Records ever appended."""

    def append(self, t0: float, count: int, records: bytes) -> None:
        """Add a frame of `count` packed records and let the oldest go."""
        frame = pack(
            Kind.DATA, records, count=count, session=self._session, seq=self.next, t0=t0
        )
        self._frames[self.next] = (self.records, frame)
        self.next += 1
        self.records += count
        self.bytes += len(frame) + FRAME_OVERHEAD
        while self.bytes > self._size and self.first < self.next - 1:
            before, oldest = self._frames.pop(self.first)
            self._gone.append(before)
            self.first += 1
            self.bytes -= len(oldest) + FRAME_OVERHEAD
            self._evicted(oldest)

    def frame(self, seq: int) -> bytes:
        """Return the frame `seq`, which must be in the ring."""
        return self._frames[seq][1]

    def records_before(self, seq: int) -> int:
        """Return how many records precede frame `seq`; for one long gone, the oldest known."""
        if seq >= self.next:
            return self.records
        if seq >= self.first:
            return self._frames[seq][0]
        if not self._gone:
            return self.records_before(self.first)
        return self._gone[max(0, len(self._gone) - (self.first - seq))]


def records_of(frame: bytes) -> memoryview:
    """Return the packed records of a DATA frame."""
    return memoryview(frame)[HEADER.size :]
