"""The newest frames of all sessions in the order they came: what viewers are sent from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from llmtop.wire import Kind

if TYPE_CHECKING:
    from llmtop.relay.channel import Channel

LOG_BYTES = 64 << 20
"""What a viewer that was away can catch up on exactly: a minute of 1000 ranks with 10 metrics at
4 Hz."""
ENTRY_OVERHEAD = 250
"""Bytes Python adds to a frame: its object and its entry; counted as the log's own."""


class Entry(NamedTuple):
    """One frame of one session."""

    channel: Channel
    kind: int
    seq: int
    records: int
    frame: bytes
    at: float
    """Monotonic seconds when it came."""


class Log:
    """Entries by place, from `first` to before `next`; the oldest go first."""

    def __init__(self, size: int = LOG_BYTES) -> None:
        """Keep about `size` bytes."""
        self._size = size
        self._entries: dict[int, Entry] = {}
        self.first = 0
        self.next = 0
        self.bytes = 0
        self.hear: Callable[[Entry], None] | None = None
        """Who is told of each entry as it comes."""

    def append(self, entry: Entry) -> None:
        """Add an entry and let the oldest go."""
        if self.hear is not None:
            self.hear(entry)
        self._entries[self.next] = entry
        self.next += 1
        self.bytes += len(entry.frame) + ENTRY_OVERHEAD
        while self.bytes > self._size and len(self._entries) > 1:
            gone = self._entries.pop(self.first)
            self.first += 1
            self.bytes -= len(gone.frame) + ENTRY_OVERHEAD
            if gone.kind == Kind.DATA:
                gone.channel.oldest = gone.seq + 1

    def get(self, place: int) -> Entry:
        """Return the entry at `place`, which must be there."""
        return self._entries[place]

    def since(self, place: int) -> Iterator[Entry]:
        """Yield the entries from `place` on."""
        return (self._entries[at] for at in range(max(place, self.first), self.next))
