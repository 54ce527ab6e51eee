"""What a hub knows of one publisher session, and the keys it gives that session's series."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from llmtop.samples import Histogram, RunInfo, SeriesInfo
from llmtop.sources.introduce import Definition
from llmtop.sources.offset import Beats
from llmtop.sources.sequence import Sequence
from llmtop.wire import MAX_SIDS, OVERFLOW_NAME

History = Histogram | NDArray[np.void]
"""A histogram's increments, or rows of BUCKET_DTYPE."""
LATECOMER_SECONDS = 0.8
"""Silence after which nobody waits for what a session may still have: several flushes."""
UNKNOWN = (1 << 32) - 1
"""In a lookup array: no such sid."""
MAX_SERIES = 1 << 16
"""Series of one hub (the wire's limit, and what a store holds)."""
OVERFLOW_ROOM = 256
"""Of these, kept for overflow series, one a session that needs it."""


@dataclass(eq=False, slots=True)
class Session:
    """One life of one publisher process, over any number of connections."""

    info: RunInfo
    wire: int
    """The session number of its frames; 0 for one that sends JSON."""
    identity: bytes
    """Where answers go: its newest connection."""
    heard: float
    """Monotonic seconds of the newest frame."""
    wall: float
    """Unix seconds of the newest frame."""
    sequence: Sequence
    clock: Beats = field(default_factory=Beats)
    """How far its machine's clock is from this one's."""
    birth: float | None = None
    """When its process began, where that can be watched from here."""
    relayed: bool = False
    """A relay passes it on, and judges whether it lives."""
    own: bool = False
    """It is of the relay's own making, and another life of the relay makes it anew."""
    over: str = ""
    """"" | "died" (an inference, undone by its next frame) | "ended" (it said so)."""
    historic: bool = True
    """Folded history is still welcome: no DATA came yet, and none that was passed on comes anew."""
    passed: bool = False
    """Some of its history was passed on."""
    held: list[History] = field(default_factory=list)
    """Folded history that came, passed on when it is complete: DATA follows it."""
    held_bytes: int = 0
    unreported: bool = True
    """Heard from since the last report of who is alive."""
    pinged: float = -math.inf
    upcoming: int | None = None
    """The next DATA message's number in its first PONG: what is before it had been there before."""
    newest_event: int = 0
    counted: dict[int, float] = field(default_factory=dict)
    """When the newest look of a bucketed series ended, by its key."""
    messages: int = 0
    records: int = 0
    lookup: NDArray[np.uint32] = field(default_factory=lambda: np.full(65, UNKNOWN, np.uint32))
    """Series key by sid; the last entry stands for all sids beyond."""
    defined: dict[int, Definition] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    """Sids of names, where the hub gives them out: to clients that send JSON."""
    overflow: int = UNKNOWN
    """The key of its overflow series, UNKNOWN as long as it needs none."""

    def records_in(self, messages: int) -> int:
        """Return how many samples so many lost messages held, going by those that came."""
        return round(messages * (self.records / self.messages if self.messages else 1.0))

    def lacks(self, now: float) -> bool:
        """Tell whether something that was there when the session was first heard is yet to come."""
        if now - self.heard > LATECOMER_SECONDS:
            return False
        if self.upcoming is None or self.held:
            return True
        return (self.sequence.expected or 0) < self.upcoming

    def sid(self, name: str) -> int:
        """Return the sid of a JSON client's name, MAX_SIDS when it has too many of them."""
        if len(self.names) >= MAX_SIDS and name not in self.names:
            return MAX_SIDS
        return self.names.setdefault(name, len(self.names))

    def keys(self, sids: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the series key of each sid, UNKNOWN where it was never defined."""
        return self.lookup.take(sids, mode="clip")


class SeriesKeys:
    """Gives out the hub's series keys, at most MAX_SERIES of them."""

    def __init__(self) -> None:
        self.used = 0

    def define(self, session: Session, wanted: Definition) -> SeriesInfo | None:
        """Give a definition its key; return the series this makes, None if it makes none.

        A known one is made again, under its key, where it is told anew what its history ends with.
        """
        plain = wanted._replace(ends=None)
        if session.defined.get(wanted.sid) == plain:
            key = int(session.lookup[wanted.sid])
            return None if wanted.ends is None or key == session.overflow else _info(
                session, key, wanted
            )
        if wanted.sid >= MAX_SIDS:
            return self._fold(session, MAX_SIDS)
        session.defined[wanted.sid] = plain
        if self.used >= MAX_SERIES - OVERFLOW_ROOM:
            return self._fold(session, wanted.sid)
        made = self._new(session, wanted)
        _point(session, wanted.sid, made.key)
        return made

    def _fold(self, session: Session, sid: int) -> SeriesInfo | None:
        made = None
        if session.overflow == UNKNOWN and self.used < MAX_SERIES:
            made = self._new(session, Definition(sid, OVERFLOW_NAME, "counter", "", ""))
            session.overflow = made.key
        _point(session, sid, session.overflow)
        return made

    def _new(self, session: Session, wanted: Definition) -> SeriesInfo:
        self.used += 1
        return _info(session, self.used - 1, wanted)


def _info(session: Session, key: int, wanted: Definition) -> SeriesInfo:
    return SeriesInfo(
        key, session.info.key, wanted.name, wanted.kind, wanted.unit, wanted.better,
        bucketed=wanted.bucketed, ends=wanted.ends,
    )  # fmt: skip


def _point(session: Session, sid: int, key: int) -> None:
    """Let `sid` mean series `key`; MAX_SIDS stands for every sid from there on."""
    room = len(session.lookup) - 1
    if sid >= room:
        longer = np.full(min(max(2 * room, sid + 1), MAX_SIDS) + 1, UNKNOWN, np.uint32)
        longer[:room] = session.lookup[:-1]
        session.lookup = longer
    session.lookup[sid] = key
