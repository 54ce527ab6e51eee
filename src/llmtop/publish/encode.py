"""Queued calls -> records -> payloads of DATA frames. Runs in the thread, as fast as Python can."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from llmtop.publish.inbox import UNCOMMITTED, Inbox, Item
from llmtop.publish.names import DROPPED_SID, OVERFLOW_SID, Names
from llmtop.publish.tensors import Slot
from llmtop.wire import NO_STEP

FRAME_RECORDS = 1024
"""Records after which a frame is closed: encoding more would hold the GIL over half a ms."""
SLACK = 1e-3
"""Seconds t0 lies before the first sample: threads queue a little out of order."""
LARGEST_DT = 1 << 32
LARGEST_STEP = (1 << 63) - 1
ARRIVAL_SECONDS = 30.0
"""A CUDA value that takes longer is given up: collectives time out later, but hold no values."""
MAX_NOTES = 64
"""Names whose text values are told: strings are for status, not for data."""
NOTE_SECONDS = 10.0
"""A text that keeps changing is told at most so often."""
MAX_NOTE = 200
"""Characters of a text value that are told: a line of a terminal."""

_BLOCK = 64
_BLOCK_FIELDS = 4 * _BLOCK
_structs: dict[int, struct.Struct] = {}
"""Number of records, 64 at most -> what packs them in one call: faster than a call for each."""

Payload = tuple[float, int, bytes]
"""t0, count and records of a DATA frame."""


def pack_records(fields: list[Any]) -> bytes:
    """Return the records whose fields (sid, dt, step, value, sid, ...) are given."""
    parts = []
    for at in range(0, len(fields), _BLOCK_FIELDS):
        block = fields[at : at + _BLOCK_FIELDS]
        count = len(block) // 4
        if count not in _structs:
            _structs[count] = struct.Struct("<" + "IIqd" * count)
        parts.append(_structs[count].pack(*block))
    return b"".join(parts)


class Encoder:
    """Turns what one run queued into frames."""

    def __init__(self, inbox: Inbox, names: Names) -> None:
        self._inbox, self._names = inbox, names
        self.step = NO_STEP
        """The step last logged; the next log() without one is the step after it."""
        self.events: list[tuple[float, str, str, int]] = []
        """(time, level, text, step) of events met, for the session to take away."""
        self._arriving: deque[tuple[float, int, int, Slot]] = deque()
        self._notes: dict[int, tuple[str, float]] = {}
        self._told_dropped = 0
        self._t0 = 0.0
        self._fields: list[Any] = []
        self._done: list[Payload] = []

    def encode(self, items: Iterable[Item], now: float) -> list[Payload]:
        """Return frames of the queued items, and of CUDA values that have arrived."""
        for t, sid, step, value in self._arrived(now):
            self._fields += (sid, self._dt(t), step, value)
        self._close()
        for item in items:
            if len(item) == 3:
                self._log(*item)
            elif len(item) == 4:
                self._observe(*item)
            else:
                self.events.append((item[0], *item[1], self.step))
            if len(self._fields) >= 4 * FRAME_RECORDS:
                self._close()
        dropped = self._inbox.dropped
        if dropped > self._told_dropped:
            lost, self._told_dropped = dropped - self._told_dropped, dropped
            self._fields += (DROPPED_SID, self._dt(now), NO_STEP, float(lost))
        self._close()
        done, self._done = self._done, []
        return done

    @property
    def waiting(self) -> bool:
        """Whether CUDA values are still on their way."""
        return bool(self._arriving)

    def abandon(self) -> int:
        """Give up CUDA values that are still on their way; return how many."""
        waiting = len(self._arriving)
        self._arriving.clear()
        return waiting

    def _log(self, t: float, step: int | None, metrics: dict[Any, Any]) -> None:
        step = self._step(step)
        dt = self._dt(t)
        sids, fields = self._names.sids, self._fields
        for key, value in metrics.items():
            sid = sids.get(key)
            if sid is None:
                sid = self._names.find(key)
                if sid is None:
                    continue
            if type(value) is not float:
                value = self._number(t, sid, step, value)
                if value is None:
                    continue
            if sid == OVERFLOW_SID:
                value = 1.0
            fields += (sid, dt, step, value)

    def _observe(self, t: float, step: int | None, value: Any, handle: Any) -> None:
        sid = self._names.sids.get(handle)
        if sid is None:
            sid = self._names.find_handle(handle)
        if step is None:
            step = self.step
        elif not NO_STEP <= step <= LARGEST_STEP:
            step = NO_STEP
        if type(value) is not float:
            value = self._number(t, sid, step, value)
            if value is None:
                return
        self._fields += (sid, self._dt(t), step, 1.0 if sid == OVERFLOW_SID else value)

    def _step(self, step: int | None) -> int:
        if step is UNCOMMITTED:
            return self.step + 1
        if step is None:
            step = self.step + 1
        if not 0 <= step <= LARGEST_STEP:
            self._inbox.problem("a step below 0 or beyond 63 bits is no step", 0)
            return NO_STEP
        self.step = step
        return step

    def _dt(self, t: float) -> int:
        """Return `t` in microseconds after the frame's t0; one too far away begins a frame."""
        if self._fields:
            dt = int((t - self._t0) * 1e6)
            if 0 <= dt < LARGEST_DT:
                return dt
            self._close()
        self._t0 = t - SLACK
        return int(SLACK * 1e6)

    def _close(self) -> None:
        for at in range(0, len(self._fields), 4 * FRAME_RECORDS):
            fields = self._fields[at : at + 4 * FRAME_RECORDS]
            self._done.append((self._t0, len(fields) // 4, pack_records(fields)))
        self._fields.clear()

    def _number(self, t: float, sid: int, step: int, value: Any) -> float | None:
        """Return a value that is no float as one; None when it is none, or not yet here."""
        if isinstance(value, Slot):
            self._arriving.append((t, sid, step, value))
            return None
        if value is None:
            return None
        try:
            return float(value)
        except OverflowError:
            self._inbox.problem("an integer beyond 1.8e308 has no float")
        except ValueError:
            self._note(t, sid, value)
        return None

    def _note(self, t: float, sid: int, text: str) -> None:
        """Tell of a value that is text: the first one, and changes now and then."""
        known = self._notes.get(sid)
        if known is None and len(self._notes) >= MAX_NOTES:
            return
        short = text[:MAX_NOTE]
        if known is None or (known[0] != short and t - known[1] >= NOTE_SECONDS):
            self._notes[sid] = (short, t)
            name = self._names.definitions[sid][1]
            self.events.append((t, "note", f"{name} = {short}", self.step))

    def _arrived(self, now: float) -> Iterator[tuple[float, int, int, float]]:
        """Yield CUDA values that are here, in order: a later one waits for those before it."""
        while self._arriving:
            t, sid, step, slot = self._arriving[0]
            value = slot.take()
            if value is None:
                if now - t < ARRIVAL_SECONDS:
                    return
                self._inbox.problem("a CUDA value did not arrive")
            self._arriving.popleft()
            if value is not None:
                yield t, sid, step, 1.0 if sid == OVERFLOW_SID else value


