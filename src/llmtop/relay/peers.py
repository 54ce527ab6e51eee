"""What one connection may send: enough for any honest publisher, too little to crowd out others."""

from __future__ import annotations

import re

from llmtop.wire import HEADER, MAGIC, MAX_SIDS, Kind

BYTES_A_SECOND = 32 << 20
"""1.4 million samples a second."""
MESSAGES_A_SECOND = 20_000
"""A frame each 50 us; a publisher sends twenty a second, and what is in its ring when asked."""
NAMES = MAX_SIDS
"""Names at once: all that one publisher may define, and a sixteenth of what a hub has room for."""
NAMES_A_SECOND = 256
"""Names more each second: who must begin again may, sixteen seconds later."""
SESSIONS = 16
"""Sessions of one connection: a publisher has one, clients that send JSON some."""
NAMING = (bytes([Kind.HELLO]), bytes([Kind.DEFS]))
"""Kinds of which each connection has so many."""
NEXT = re.compile(rb"\]\s*,\s*\[")
"""Between two entries of DEFS."""
MAX_PEERS = 8192
"""Connections remembered: twice as many as sessions are known."""


class _Peer:
    __slots__ = ("bytes", "messages", "names", "second", "sessions")

    def __init__(self) -> None:
        self.second = 0
        self.bytes = self.messages = self.names = 0
        self.sessions: set[bytes] = set()


class Peers:
    """Every connection, by identity."""

    def __init__(self) -> None:
        self.refused = 0
        """Frames that were not taken in."""
        self._known: dict[bytes, _Peer] = {}

    def admit(self, identity: bytes, data: bytes, now: float) -> bool:
        """Tell whether a frame that came at `now` (seconds) is within the limits."""
        peer = self._known.get(identity)
        if peer is None or now - peer.second >= 1:
            peer = self._begin(identity, peer, int(now))
        peer.bytes += len(data)
        peer.messages += 1
        good = peer.bytes <= BYTES_A_SECOND and peer.messages <= MESSAGES_A_SECOND
        if good and data[3:4] in NAMING and len(data) >= HEADER.size and data[:2] == MAGIC:
            good = _admit_kind(peer, data)
        self.refused += not good
        return good

    def _begin(self, identity: bytes, peer: _Peer | None, second: int) -> _Peer:
        """Begin another second of a connection, known or new."""
        if peer is None:
            if len(self._known) >= MAX_PEERS:
                del self._known[next(iter(self._known))]
            peer = self._known[identity] = _Peer()
        peer.names = max(0, peer.names - NAMES_A_SECOND * (second - peer.second))
        peer.second, peer.bytes, peer.messages = second, 0, 0
        return peer


def _admit_kind(peer: _Peer, data: bytes) -> bool:
    kind = data[3]
    if kind == Kind.HELLO:
        peer.sessions.add(data[8:16])
        if len(peer.sessions) > SESSIONS:
            peer.sessions.discard(data[8:16])
            return False
    elif kind == Kind.DEFS:
        names = len(NEXT.findall(data)) + 1
        if peer.names + names > NAMES:
            return False
        peer.names += names
    return True
