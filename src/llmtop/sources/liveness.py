"""When a session must be asked for a sign of life, and when it is dead."""

from __future__ import annotations

from typing import NamedTuple

from llmtop.sources.processes import birth
from llmtop.sources.sequence import GAP_SECONDS
from llmtop.sources.session import Session

PING_SECONDS = 2.0
"""Between two pings of a session: the heartbeat interval of the wire."""
CLOCK_SECONDS = 10.0
"""The same for one that is heard anyway: it tells the time in its answer, and nothing else new."""
QUIET_SECONDS = 1.0
"""Silence after which a local process is looked for."""
REMOTE_SECONDS = 8.0
"""Silence after which a publisher that cannot be looked for is dead: four pings."""
HISTORY_SECONDS = 1.0
"""Silence after which history that came without DATA behind it is taken for complete."""


class Watch(NamedTuple):
    """What is to be done about a session."""

    ping: bool = False
    died: str = ""
    """Why it is dead, "" if it is not."""
    history: bool = False
    """Pass on the history held."""
    lost: bool = False
    """What is missing will not come any more."""


def watch(session: Session, now: float) -> Watch:
    """Return what is to be done about a session at `now` (monotonic seconds)."""
    silent = now - session.heard
    if session.over:
        return Watch(lost=session.sequence.gap and silent > GAP_SECONDS)
    pause = PING_SECONDS if silent >= QUIET_SECONDS else CLOCK_SECONDS
    ping = session.wire > 0 and not session.relayed and now - session.pinged >= pause
    if ping:
        session.pinged = now
    died = _death(session, silent)
    history = bool(session.held) and silent > HISTORY_SECONDS
    return Watch(ping, died, history, bool(died) and session.sequence.gap)


def _death(session: Session, silent: float) -> str:
    if silent < QUIET_SECONDS or session.relayed:
        return ""
    if session.birth is not None:
        # One that is stopped, or busy in a long call, is there still: stale perhaps, not dead.
        here = birth(session.info.pid) == session.birth
        return "" if here else f"process {session.info.pid} is gone"
    remote = session.wire > 0 and silent > REMOTE_SECONDS
    return f"silent for {REMOTE_SECONDS:.0f} s" if remote else ""
