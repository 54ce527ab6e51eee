"""The usual message by far: DATA that is the next of a session that goes on as it did.

It takes the short way; whatever is odd about a message makes it one for the long one.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmtop.sources.introduce import LATEST
from llmtop.sources.pending import Pending
from llmtop.sources.session import Session
from llmtop.wire import HEADER, MAGIC, MAX_RECORDS, RECORD, VERSION, Kind

START = MAGIC + bytes([VERSION, Kind.DATA])
"""How DATA begins."""
_HEADER_BYTES, _RECORD_BYTES = HEADER.size, RECORD.size
_unpack = HEADER.unpack_from


def take_next(data: bytes, sessions: Mapping[int, Session], pending: Pending) -> Session | None:
    """Take in a message if it is the usual one; return its session, None if it is another."""
    if data[:4] != START or len(data) < _HEADER_BYTES:
        return None
    _, _, _, count, wire, seq, t0 = _unpack(data)
    session = sessions.get(wire)
    if (
        session is None or session.historic or session.over
        or len(data) != _HEADER_BYTES + _RECORD_BYTES * count or count > MAX_RECORDS
        or not 0 <= t0 < LATEST or not session.sequence.goes_on(seq)
    ):  # fmt: skip
        return None
    session.messages += 1
    session.records += count
    pending.add(session, memoryview(data)[_HEADER_BYTES:], count, t0)
    return session
