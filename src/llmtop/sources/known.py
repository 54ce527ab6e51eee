"""Whom a hub knows, and whom it has asked who they are: both bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from llmtop.errors import WireError
from llmtop.sources.introduce import read_hello
from llmtop.sources.jsonframe import JsonSample
from llmtop.sources.processes import local_birth
from llmtop.sources.sequence import Sequence
from llmtop.sources.session import Session

Key = TypeVar("Key")
MAX_SESSIONS = 4096
"""Sessions one hub knows: every rank of a large job with room for its restarts."""
MAX_STRANGERS = 4096
"""Connections remembered for having been asked who they are."""
ASK_SECONDS = 1.0
"""The least between two such questions to one connection."""


class Known:
    """The sessions of a hub."""

    def __init__(self) -> None:
        self.sessions: dict[int, Session] = {}
        """By wire session."""
        self.clients: dict[tuple[bytes, str], Session] = {}
        """Those that send JSON, by connection and run name."""

    def __iter__(self) -> Iterator[Session]:
        return iter((*self.sessions.values(), *self.clients.values()))

    def make_room(self) -> None:
        """Make room for one more session by forgetting one that is over.

        Raises:
            WireError: none is.
        """
        full = len(self.sessions) + len(self.clients) >= MAX_SESSIONS
        if full and not (_forget_one(self.sessions) or _forget_one(self.clients)):
            raise WireError("more sessions than a hub knows")

    def report(self) -> tuple[str, ...]:
        """Return the keys of those that live and were heard from since the last report."""
        heard = [session for session in self if session.unreported]
        for session in heard:
            session.unreported = False
        return tuple(session.info.key for session in heard if not session.over)

    def forget_own(self) -> list[str]:
        """Forget the sessions of a relay's own making; return their keys."""
        gone = [number for number, session in self.sessions.items() if session.own]
        return [self.sessions.pop(number).info.key for number in gone]

    def client(
        self, identity: bytes, sample: JsonSample, source: str, now: float, mono: float
    ) -> tuple[Session, bool]:
        """Return the session that a JSON sample is of, and whether it is new.

        Raises:
            WireError: there is no room for one more.
        """
        session = self.clients.get((identity, sample.run))
        if session is not None:
            return session, False
        self.make_room()
        key = f"json-{identity.hex()}-{sample.run}"
        info = read_hello({**sample.about, "name": sample.run}, key, source)
        info = replace(info, started=info.started or sample.time)
        session = self.clients[identity, sample.run] = Session(
            info, 0, identity, mono, now, Sequence()
        )
        session.birth = local_birth(info)
        return session, True


class Strangers:
    """Connections whose session is not known."""

    def __init__(self) -> None:
        self._asked: dict[bytes, float] = {}

    def ask(self, identity: bytes, now: float) -> bool:
        """Tell whether it is time to ask a connection who it is, and note that it was done."""
        if now - self._asked.get(identity, -ASK_SECONDS) < ASK_SECONDS:
            return False
        if len(self._asked) >= MAX_STRANGERS:
            self._asked.clear()
        self._asked[identity] = now
        return True

    def forget(self, identity: bytes) -> None:
        """Note that a connection is known now."""
        self._asked.pop(identity, None)


def _forget_one(known: dict[Key, Session]) -> bool:
    """Forget the oldest session that is over, if there is one."""
    over = next((key for key, session in known.items() if session.over), None)
    if over is not None:
        del known[over]
    return over is not None


def wire_number(key: str) -> int:
    """Return the wire session that a key of ours stands for, 0 (nobody's) if it is none."""
    try:
        return int(key, 16)
    except ValueError:
        return 0
