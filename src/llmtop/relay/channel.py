"""One session as it is passed on: who it is, its names, newest events, and where its DATA is."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

from llmtop.samples import Event, RunEnd, RunInfo, SeriesInfo
from llmtop.sources.introduce import Definition
from llmtop.wire import MAX_SIDS, NO_STEP, Kind, pack, pack_json

WIRE_KEY = re.compile("[0-9a-f]{16}")
"""The key of a session that came over the wire: its number in hex."""
OWN_FIRST_SEQ = 1 << 32
"""Where the DATA of a session of the relay's own begins: what a late viewer gets of the store comes
in frames before it."""
MAX_EVENTS = 256
"""Events kept for late viewers, as a publisher keeps them."""
DEFS_A_FRAME = 256
"""Names a DEFS frame holds: at most 60 kB."""


class Channel:
    """One session."""

    def __init__(self, source: int, info: RunInfo, session: int) -> None:
        self.source, self.info, self.session = source, info, session
        self.wire = WIRE_KEY.fullmatch(info.key) is not None
        """Whether its frames go on as they came."""
        self.definitions: dict[int, list[Any]] = {}
        """Entries of DEFS by sid."""
        self.sids: dict[str, int] = {}
        """Sids by name."""
        self.next = 0 if self.wire else OWN_FIRST_SEQ
        """The seq of its next DATA."""
        self.oldest = self.next
        """The seq of the oldest DATA in the log, `next` if there is none."""
        self.records = self.frames = 0
        """Ever passed on."""
        self.events: deque[bytes] = deque(maxlen=MAX_EVENTS)
        self.event_count = 0
        self.ahead: float | None = None
        """Seconds by which its clock is ahead of the relay's, None if that is not known."""
        self.ending: bytes | None = None
        """BYE, once it is over."""

    def hello(self, first: int) -> bytes:
        """Return HELLO of a session whose DATA begins at `first`."""
        info = self.info
        about = {
            "role": "relay", "name": info.name, "host": info.host, "pid": info.pid,
            "rank": info.rank, "world_size": info.world_size, "phase": info.phase,
            "started": info.started, "total_steps": info.total_steps, "first_seq": first,
            "tags": dict(info.tags), "own": not self.wire or None,
        }  # fmt: skip
        known = {key: value for key, value in about.items() if value not in (None, "", {})}
        return pack_json(Kind.HELLO, known, session=self.session, seq=self.next)

    def define(self, one: Definition) -> list[Any] | None:
        """Take in a definition; return its entry of DEFS if it is new and there is room for it."""
        about: dict[str, Any] = {"kind": one.kind, "unit": one.unit, "better": one.better}
        about["bucketed"] = one.bucketed
        entry = [one.sid, one.name, {key: value for key, value in about.items() if value}]
        if one.sid >= MAX_SIDS or self.definitions.get(one.sid) == entry:
            return None
        self.definitions[one.sid] = entry
        self.sids[one.name] = one.sid
        return entry

    def name(self, info: SeriesInfo) -> list[Any] | None:
        """Give a series of the relay's own a sid; return its entry of DEFS if it is new."""
        sid = self.sids.get(info.name, len(self.sids))
        return self.define(Definition(
            sid, info.name, info.kind, info.unit, info.better, bucketed=info.bucketed
        ))  # fmt: skip

    def defs(self, entries: list[list[Any]]) -> list[bytes]:
        """Return DEFS frames of some entries."""
        return [
            pack_json(Kind.DEFS, entries[at : at + DEFS_A_FRAME], session=self.session)
            for at in range(0, len(entries), DEFS_A_FRAME)
        ]

    def tell(self, event: Event) -> bytes:
        """Return the EVENT frame of an event, and keep it."""
        told: dict[str, Any] = {"t": event.time, "level": event.level, "text": event.text}
        if event.step != NO_STEP:
            told["step"] = event.step
        self.event_count += 1
        frame = pack_json(Kind.EVENT, told, session=self.session, seq=self.event_count)
        self.events.append(frame)
        return frame

    def end(self, end: RunEnd) -> bytes:
        """Note how it ended; return BYE."""
        said = {"reason": end.reason, "text": end.text, "t": end.time}
        self.ending = pack_json(Kind.BYE, said, session=self.session, seq=self.next)
        return self.ending

    def beat(self, seq: int, now: float = 0.0) -> bytes:
        """Return the sign of life of a session whose next DATA is `seq`.

        Args:
            seq: The seq.
            now: The time here, unix seconds; 0 if nothing is to be said of the time there.
        """
        t0 = now + self.ahead if now and self.ahead is not None else 0.0
        return pack(Kind.PONG, session=self.session, seq=seq, t0=t0)

    def lost(self, upcoming: int, count: int | None = None) -> bytes:
        """Return the EVENT that says what a viewer will not get before DATA `upcoming`.

        Args:
            upcoming: The seq that comes next.
            count: Samples; None if only the number of frames is known.
        """
        told = {"level": "dropped", "text": "the viewer was too slow or away for too long",
                "count": count or 0, "next_seq": upcoming}
        return pack(Kind.EVENT, json.dumps(told).encode(), session=self.session)

    def records_in(self, frames: int) -> int:
        """Return about how many samples so many of its frames hold."""
        return round(frames * self.records / self.frames) if self.frames else frames
