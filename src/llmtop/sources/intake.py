"""What a hub makes of frames: sessions, series and samples, and what it answers. No sockets here.

Nothing that a frame may hold raises: what is not of the protocol is counted in `bad` and left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from llmtop.clock import Clock
from llmtop.errors import WireError
from llmtop.samples import Batch, RunEnd, RunInfo
from llmtop.sources.history import read_counts, read_folded
from llmtop.sources.introduce import (
    LARGEST,
    LATEST,
    Definition,
    read_bye,
    read_definitions,
    read_event,
    read_hello,
    seconds,
    whole,
)
from llmtop.sources.jsonframe import JsonSample, read_sample
from llmtop.sources.known import Known, Strangers, wire_number
from llmtop.sources.liveness import watch
from llmtop.sources.outgoing import Outgoing
from llmtop.sources.pending import Pending
from llmtop.sources.processes import local_birth
from llmtop.sources.sequence import TAKE, Sequence, Verdict
from llmtop.sources.session import SeriesKeys, Session
from llmtop.sources.steady import take_next
from llmtop.wire import FROM_SEQ, Frame, Kind, pack, pack_json, read_json, unpack

MAX_ANSWERS = 8192
"""Answers waiting to be sent: two a session."""
MAX_HELD_BYTES = 1 << 26
"""History held until it is complete: what 4096 series with 256 buckets each take."""


class Intake:
    """Everything a hub knows, whatever becomes of its socket."""

    def __init__(self, clock: Clock, source: str = "local") -> None:
        self._known = Known()
        self.sessions, self.clients = self._known.sessions, self._known.clients
        self.answers: deque[tuple[bytes, bytes]] = deque(maxlen=MAX_ANSWERS)
        """(identity, frame) to be sent."""
        self.pending = Pending()
        self.bad = 0
        """Frames, and entries of frames, that were not of the protocol."""
        self.keep_frames = False
        """Whether batches also hold the frames, to be passed on."""
        self.introduced = clock.monotonic()
        """When the newest HELLO of a new session came."""
        self.now, self.mono = clock.time(), clock.monotonic()
        self._clock, self._source = clock, source
        self._keys = SeriesKeys()
        self._strangers = Strangers()
        self._out = Outgoing()
        self._handlers: dict[int, Callable[[Session, Frame], None]] = {
            Kind.DATA: self._data, Kind.DEFS: self._definitions, Kind.BYE: self._bye,
            Kind.PING: self._ping, Kind.PONG: self._pong, Kind.BUCKETS: self._folded,
            Kind.HIST: self._folded, Kind.EVENT: self._event, Kind.COUNTS: self._counts,
        }  # fmt: skip

    def look_at_clock(self) -> None:
        """Let `now` and `mono` be now: what comes next is of that moment."""
        self.now, self.mono = self._clock.time(), self._clock.monotonic()

    def frame(self, identity: bytes, data: bytes) -> None:
        """Take in one message of connection `identity`."""
        steady = take_next(data, self.sessions, self.pending)
        if steady is not None:
            self._hear(steady, identity)
            if self.keep_frames:
                self._out.keep_next(steady, data)
            return
        try:
            if data[:1] == b"{":
                self._json(identity, read_sample(data, self.now))
                return
            frame = unpack(data)
            session = self.sessions.get(frame.session)
            handler = self._handlers.get(frame.kind)
            if session is not None and handler is not None:
                self._hear(session, identity)
                handler(session, frame)
            elif frame.kind == Kind.HELLO:
                self._hello(identity, frame)
            elif session is not None:
                self._hear(session, identity)
            elif self._strangers.ask(identity, self.mono):
                self.answers.append((identity, pack(Kind.PING)))
        except WireError:
            self.bad += 1

    def tick(self) -> None:
        """Do what time asks for: pings, deaths, who is alive, history that was held long enough."""
        for session in self._known:
            found = watch(session, self.mono)
            if found.ping:
                self._answer(session, pack(Kind.PING, session=session.wire))
            if found.died:
                session.over = "died"
                self._out.ends.append(RunEnd(session.info.key, session.wall, "died", found.died))
            if found.lost:
                self._out.dropped += session.records_in(session.sequence.abandon())
            if found.history:
                self._release(session)
        self._out.alive = self._known.report()

    def knows(self, key: str) -> bool:
        """Tell whether the session of this key is one that speaks the wire protocol to us."""
        return wire_number(key) in self.sessions

    def tell(self, key: str, message: Mapping[str, Any]) -> None:
        """Send a message to the session of this key, where its newest connection is."""
        session = self.sessions.get(wire_number(key))
        if session is not None:
            self._answer(session, pack_json(Kind.CONTROL, message, session=session.wire))

    def end_own(self) -> None:
        """Forget the sessions of a relay's own making: the relay began anew, and so do they."""
        for key in self._known.forget_own():
            end = RunEnd(key, self.now, "finished", "the relay was started again")
            self._out.ends.append(end)

    def forgive(self) -> None:
        """Let every session count as heard now: it was this side that slept."""
        for session in self._known:
            session.heard = self.mono

    @property
    def complete(self) -> bool:
        """Whether all that the sessions had when they were first heard has arrived."""
        return not any(session.lacks(self.mono) for session in self.sessions.values())

    def take(self, *, caught_up: bool = False) -> Batch | None:
        """Return what came since the last call, None if that is nothing."""
        samples = self.pending.take()
        self._out.dropped += self.pending.unknown
        self.pending.unknown = 0
        batch = self._out.batch(samples, caught_up=caught_up)
        self._out = Outgoing()
        return batch

    def _hear(self, session: Session, identity: bytes) -> None:
        session.heard, session.wall, session.identity = self.mono, self.now, identity
        session.unreported = True
        if session.over == "died":
            session.over = ""
            self._out.introduce(session.info)

    def _hello(self, identity: bytes, frame: Frame) -> None:
        if not frame.session:
            raise WireError("session 0 is nobody's")
        hello = read_json(frame, dict)
        info = read_hello(hello, f"{frame.session:016x}", self._source)
        first = whole(hello.get("first_seq"), 0, LARGEST) or 0
        session = self.sessions.get(frame.session)
        if session is None:
            session = Session(info, frame.session, identity, self.mono, self.now, Sequence(first))
            self._known.make_room()
            self.sessions[frame.session] = session
            self.introduced = self.mono
        else:
            self._resume(session, info, first)
        session.relayed, session.own = hello.get("role") == "relay", hello.get("own") is True
        session.birth = None if session.relayed else local_birth(info)
        self._strangers.forget(identity)
        self._hear(session, identity)
        if session.over != "ended":
            self._out.introduce(session.info)
        self._answer(session, pack(Kind.PING, session=session.wire))

    def _resume(self, session: Session, info: RunInfo, first: int) -> None:
        """Go on with a session that says HELLO again and will send all it has from `first` on."""
        session.info, session.held, session.held_bytes = info, [], 0
        session.historic = session.historic and not session.passed
        expected = session.sequence.expected or 0
        if session.sequence.skip(first) and not session.historic:
            self._out.dropped += session.records_in(first - expected)

    def _definitions(self, session: Session, frame: Frame) -> None:
        for wanted in read_definitions(read_json(frame, list)):
            if wanted is None:
                self.bad += 1
                continue
            self._define(session, wanted)
        if self.keep_frames:
            self._out.keep(session.info.key, frame)

    def _define(self, session: Session, wanted: Definition) -> None:
        known = session.defined.get(wanted.sid)
        if known == wanted:
            return
        if not session.historic:
            wanted = wanted._replace(ends=None)
        if known is not None and known != wanted._replace(ends=None):
            # Samples that came under the sid's old name keep it.
            self.pending.settle()
        made = self._keys.define(session, wanted)
        if made is not None:
            self._out.series.append(made)

    def _data(self, session: Session, frame: Frame) -> None:
        if not 0 <= frame.t0 < LATEST:
            raise WireError(f"DATA of unix time {frame.t0}")
        verdict = session.sequence.judge(frame.seq, self.mono)
        if verdict is not TAKE:
            self._heed(session, verdict)
            if not verdict.take:
                return
        if session.historic:
            self._release(session)
            session.historic = False
        session.messages += 1
        session.records += frame.count
        self.pending.add(session, frame.payload, frame.count, frame.t0)
        if self.keep_frames:
            self._out.keep(session.info.key, frame)

    def _heed(self, session: Session, verdict: Verdict) -> None:
        self._out.dropped += session.records_in(verdict.lost)
        if verdict.ask:
            wanted = FROM_SEQ.pack(session.sequence.expected or 0)
            self._answer(session, pack(Kind.REPLAY, wanted, session=session.wire))

    def _folded(self, session: Session, frame: Frame) -> None:
        if not session.historic:
            return
        part, lost, bad = read_folded(session, frame)
        self._out.dropped += lost
        self.bad += bad
        if part is None:
            return
        session.held.append(part)
        session.held_bytes += len(frame.payload)
        if session.held_bytes > MAX_HELD_BYTES:
            self._release(session)

    def _counts(self, session: Session, frame: Frame) -> None:
        part = read_counts(session, frame)
        if part is not None:
            self._out.counted.append(part)

    def _release(self, session: Session) -> None:
        session.passed = session.passed or bool(session.held)
        self._out.history += session.held
        session.held, session.held_bytes = [], 0

    def _event(self, session: Session, frame: Frame) -> None:
        event = read_json(frame, dict)
        if event.get("level") == "dropped":
            upcoming = whole(event.get("next_seq"), 0, LARGEST)
            if upcoming is None or session.sequence.skip(upcoming):
                self._out.dropped += whole(event.get("count"), 0, LARGEST) or 0
            return
        if 0 < frame.seq <= session.newest_event:
            return
        session.newest_event = max(frame.seq, session.newest_event)
        self._out.events.append(read_event(event, session.info.key, self.now))

    def _bye(self, session: Session, frame: Frame) -> None:
        self._release(session)
        if session.over == "ended":
            return
        reason, text = read_bye(bye := read_json(frame, dict))
        session.over = "died" if reason == "died" else "ended"
        ended = min(seconds(bye.get("t"), self.now), self.now)
        self._out.ends.append(RunEnd(session.info.key, ended, reason, text))

    def _ping(self, session: Session, frame: Frame) -> None:
        self._heed(session, session.sequence.behind(frame.seq, self.mono))
        if not session.sequence.gap:
            seq = session.sequence.expected or 0
            self._answer(session, pack(Kind.PONG, session=session.wire, seq=seq))

    def _pong(self, session: Session, frame: Frame) -> None:
        self._out.clocks += session.clock.heard(session.info.key, frame.t0, self.now)
        if session.upcoming is None:
            session.upcoming = frame.seq
        self._heed(session, session.sequence.behind(frame.seq, self.mono))

    def _answer(self, session: Session, frame: bytes) -> None:
        self.answers.append((session.identity, frame))

    def _json(self, identity: bytes, sample: JsonSample) -> None:
        session, new = self._known.client(identity, sample, self._source, self.now, self.mono)
        if new:
            self._out.introduce(session.info)
        self._hear(session, identity)
        sids = [session.sid(name) for name in sample.values]
        for sid, name in zip(sids, sample.values, strict=True):
            self._define(session, Definition(sid, name, "gauge", "", ""))
        self.pending.add_row(session, sids, list(sample.values.values()), sample.time, sample.step)
