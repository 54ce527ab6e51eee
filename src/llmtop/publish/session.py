"""One run's stream, whoever listens: what is queued becomes frames, and frames become history."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from llmtop.publish.control import Control
from llmtop.publish.encode import Encoder
from llmtop.publish.fold import History
from llmtop.publish.inbox import Inbox
from llmtop.publish.names import Definition, Names
from llmtop.publish.ring import RING_BYTES, Ring
from llmtop.wire import BUCKET, Kind, json_number, pack, pack_json

CHUNK = 512
"""Calls encoded at a time: a quarter of a millisecond of the GIL."""
BUSY = 16_384
"""Calls queued beyond which the thread stops making way: the next thing would be to drop some."""
TAKE_SECONDS = 0.05
"""Time spent encoding before monitors are served again."""
MAX_EVENTS = 256
"""Events kept for late monitors: what an event panel holds."""
MAX_TEXT = 500
"""Characters of an event that are told: some lines of a terminal."""
DEFS_A_FRAME = 256
"""Names a DEFS frame holds: at most 60 kB."""
BUCKETS_A_FRAME = 1024
"""BUCKETS records a frame holds: 64 kB."""


class Session:
    """The life of a run in one process: its queue, names, ring and history."""

    def __init__(
        self, inbox: Inbox, about: dict[str, Any], control: Control | None = None
    ) -> None:
        """Open a session over `inbox`; `about` is what HELLO says of it, `control` the way back."""
        self.id = int.from_bytes(os.urandom(8), "little") or 1
        self.inbox = inbox
        self.control = control
        self._about = about
        self.names = Names(inbox)
        self.history = History(self.names.is_distribution)
        self.ring = Ring(self.id, self.history.fold, RING_BYTES)
        self._encoder = Encoder(inbox, self.names)
        self._events: deque[bytes] = deque(maxlen=MAX_EVENTS)
        self.event_count = 0
        """Events ever; the last of them is of this number."""

    def take(self) -> bool:
        """Encode what is queued, for TAKE_SECONDS at most; return whether there was anything."""
        items = self.inbox.items
        for pulse in self.inbox.pulses:
            pulse()
        deadline = time.monotonic() + TAKE_SECONDS
        before = self.ring.next, self.event_count
        while True:
            waiting = len(items)
            some = [items.popleft() for _ in range(min(waiting, CHUNK))]
            for t0, count, records in self._encoder.encode(some, time.time()):
                self.ring.append(t0, count, records)
            self._take_events()
            if waiting <= CHUNK or time.monotonic() > deadline:
                break
            if waiting < BUSY and self.inbox.room:
                time.sleep(0)
        return (self.ring.next, self.event_count) != before

    @property
    def empty(self) -> bool:
        """Whether all that was queued has been encoded."""
        return not self.inbox.items and not self._encoder.waiting

    def _take_events(self) -> None:
        for t, level, text, step in self._encoder.events:
            self._tell(t, level, text, step)
        self._encoder.events.clear()
        while self.inbox.notices:
            level, text = self.inbox.notices.popleft()
            self._tell(time.time(), level, text, self._encoder.step)

    def _tell(self, t: float, level: str, text: str, step: int) -> None:
        event: dict[str, Any] = {"t": t, "level": printable(level), "text": printable(text)}
        if step >= 0:
            event["step"] = step
        self.event_count += 1
        self._events.append(
            pack_json(Kind.EVENT, event, session=self.id, seq=self.event_count)
        )

    def opening(self) -> list[bytes]:
        """Return what a monitor is sent first: HELLO, DEFS, events, and all before the ring."""
        hello = {**self._about, "first_seq": self.ring.first}
        frames = [pack_json(Kind.HELLO, hello, session=self.id, seq=self.ring.next)]
        frames += self._defs([self._with_ends(one) for one in self.names.definitions])
        frames += self.events(0)
        frames += self._buckets()
        for bins, payload in self.history.histograms():
            frames.append(pack(Kind.HIST, payload, count=bins, session=self.id))
        return frames

    def _buckets(self) -> Iterator[bytes]:
        records = b"".join(self.history.buckets())
        most = BUCKETS_A_FRAME * BUCKET.size
        for at in range(0, len(records), most):
            some = records[at : at + most]
            yield pack(Kind.BUCKETS, some, count=len(some) // BUCKET.size, session=self.id)

    def definitions(self, start: int) -> list[bytes]:
        """Return DEFS frames of the names from sid `start` on."""
        return self._defs(self.names.definitions[start:])

    def _defs(self, entries: Sequence[Any]) -> list[bytes]:
        return [
            pack_json(Kind.DEFS, entries[at : at + DEFS_A_FRAME], session=self.id)
            for at in range(0, len(entries), DEFS_A_FRAME)
        ]

    def _with_ends(self, definition: Definition) -> tuple[int, str, dict[str, Any]]:
        """Return a definition that also says which points BUCKETS begin and end with."""
        sid, name, meta = definition
        ends = self.history.ends.get(sid)
        if ends is None:
            return definition
        first, last = ([t, step, json_number(value)] for t, step, value in ends)
        return sid, name, {**meta, "first": first, "last": last}

    def events(self, after: int) -> list[bytes]:
        """Return EVENT frames after the event of number `after`, as far as they are kept."""
        newer = self.event_count - after
        return list(self._events)[-newer:] if newer > 0 else []

    def lost(self, samples: int, next_seq: int | None = None) -> bytes:
        """Return the EVENT that tells a monitor how many samples it will not get.

        Args:
            samples: How many.
            next_seq: The DATA frame that comes after them; None if they never were in one.
        """
        text = f"{samples} samples were gone before this monitor could be sent them"
        event = {"t": time.time(), "level": "dropped", "text": text, "count": samples}
        if next_seq is not None:
            event["next_seq"] = next_seq
        return pack_json(Kind.EVENT, event, session=self.id)

    def abandon(self) -> int:
        """Empty the queue of a run that may not wait any longer; return how many samples it held.

        CUDA values that are still on their way count, too.
        """
        items, samples = self.inbox.items, self._encoder.abandon()
        while items:
            item = items.popleft()
            samples += len(item[2]) if len(item) == 3 else len(item) == 4
        return samples

    def farewell(self, ending: dict[str, str]) -> list[bytes]:
        """Return BYE, and the PING whose answer says that it has arrived."""
        return [
            pack_json(Kind.BYE, ending, session=self.id, seq=self.ring.next),
            pack(Kind.PING, session=self.id, seq=self.ring.next),
        ]

    def beat(self) -> bytes:
        """Return the PONG that says where the session stands, and what time it is here."""
        return pack(Kind.PONG, session=self.id, seq=self.ring.next, t0=time.time())


def printable(text: str) -> str:
    """Return `text` in one bounded line that is safe to show in a terminal."""
    line = " ".join(text[: 2 * MAX_TEXT].split())
    return "".join(c for c in line if c.isprintable())[:MAX_TEXT]


def ending(reason: str, text: str = "") -> dict[str, str]:
    """Return what BYE says."""
    return {"reason": reason, "text": printable(text)}
