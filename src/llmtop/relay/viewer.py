"""One viewer's place in the log, and which sessions it has been opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from llmtop.clock import Clock
from llmtop.relay.channel import Channel
from llmtop.relay.channels import Channels
from llmtop.relay.log import Entry
from llmtop.relay.opening import conclude, introduce, opening
from llmtop.relay.outlet import Outlet
from llmtop.relay.thin import thin
from llmtop.store import Store
from llmtop.store.replica import is_settled
from llmtop.wire import FROM_SEQ, Frame, Kind, pack, pack_json

LAG_SECONDS = 5.0
"""How far a viewer may be behind before what it has missed comes thinned: by then a chart that
follows the newest data would show no movement."""
ENTRIES_A_TURN = 20_000
"""Entries of the log looked at before the next viewer's turn: 4 s of 1000 ranks at 4 Hz."""
REPLAY_SECONDS = 0.5
"""Between two replays for one viewer, each of which looks through the log; who misses something
asks once a second, three times."""


@dataclass(slots=True)
class Opened:
    """How far a viewer is in one session."""

    next: int
    """The seq of the DATA it is sent next."""
    place: int
    """Entries before it were in what it was opened with."""


class Viewer:
    """Someone the relay sends all it knows."""

    def __init__(self, outlet: Outlet, channels: Channels, have: Mapping[int, int]) -> None:
        """Begin with a viewer that has the DATA of sessions up to seqs `have` already."""
        self.outlet = outlet
        self.caught_up = False
        """It has been sent all there was when it came."""
        self.thinned = 0
        """Samples left out because it was too slow."""
        self._channels, self._log = channels, channels.log
        self._have = dict(have)
        about = {"level": "relay", "instance": channels.instance.hex()}
        self._outbox = deque([pack_json(Kind.EVENT, about, session=0)])
        self._opened: dict[Channel, Opened] = {}
        self._looked_at = -1
        self._resumed: dict[Channel, None] = {}
        self._beats: dict[Channel, None] = {}
        """Where it asked how far we are: told after what waits, however often it asked."""
        self._replays: dict[Channel, int] = {}
        """From which seq on it asked for DATA again, the lowest it named of each session."""
        self._replayed = -REPLAY_SECONDS
        self._exact = self._log.next
        """What is before it comes as it was, however old: the viewer was away, it is not slow."""
        self._place = self._log.first if have else self._log.next
        for channel in channels.all.values():
            self._resume(channel, 0)

    def turn(self, store: Store, clock: Clock, until: float) -> None:
        """Send on until the viewer's socket is full, nothing is left, or it is `until`."""
        mono, looked = clock.monotonic(), 0
        while self.outlet.room:
            if self._outbox:
                self.outlet.put(self._outbox.popleft())
            elif self._beats:
                channel, _ = self._beats.popitem()
                if channel in self._opened:
                    self.outlet.put(channel.beat(self._opened[channel].next))
            elif self._replays and mono - self._replayed >= REPLAY_SECONDS:
                self._replayed = mono
                self._replay()
            elif self._place < self._log.first:
                self._fell_off()
            elif self._place < self._log.next:
                entry = self._log.get(self._place)
                if self._place >= self._exact and mono - entry.at > LAG_SECONDS:
                    self._thin(mono - entry.at)
                else:
                    self._place += 1
                    self._step(entry, self._place - 1)
                looked += 1
                if looked > ENTRIES_A_TURN:
                    return
            elif self._resumed:
                for channel in self._resumed:
                    self._outbox += conclude(channel, self._opened[channel].next)
                self._resumed = {}
            elif clock.monotonic() > until or not self._open_one(store):
                return

    def hear(self, frame: Frame) -> None:
        """Note what a viewer asks of a session."""
        channel = self._channels.by_session.get(frame.session)
        opened = self._opened.get(channel) if channel is not None else None
        if channel is None or opened is None:
            return
        if frame.kind == Kind.PING:
            self._beats[channel] = None
        elif frame.kind == Kind.REPLAY:
            (seq,) = FROM_SEQ.unpack(frame.payload)
            self._replays[channel] = min(seq, self._replays.get(channel, seq))

    def _open_one(self, store: Store) -> bool:
        """Open one more session; False if there is none, or the store has not decided on it."""
        if self._looked_at == self._channels.version:
            return False
        self._opened = {
            channel: opened for channel, opened in self._opened.items()
            if self._channels.by_session.get(channel.session) is channel
        }  # fmt: skip
        waits = False
        for channel in self._channels.in_order():
            if channel in self._opened:
                continue
            if not is_settled(store, channel.source, channel.info.key):
                waits = True
                continue
            self._opened[channel] = Opened(channel.next, self._log.next)
            self._outbox += opening(channel, store)
            return True
        if waits:
            return False
        self._looked_at = self._channels.version
        if not self.caught_up:
            self.caught_up = True
            self._outbox.append(pack_json(Kind.EVENT, {"level": "caught_up"}, session=0))
        return True

    def _resume(self, channel: Channel, place: int) -> None:
        """Go on with a session where the viewer says it was, if it knows it."""
        have = self._have.pop(channel.session, None)
        if have is None:
            return
        first = max(have, channel.oldest) if have < channel.next else have
        self._opened[channel] = Opened(first, place)
        self._outbox += introduce(channel, first)
        self._resumed[channel] = None

    def _step(self, entry: Entry, place: int) -> None:
        """Put one entry into the outbox if the viewer does not have it."""
        opened = self._opened.get(entry.channel)
        if opened is None:
            if entry.kind == Kind.HELLO:
                self._resume(entry.channel, place)
            return
        if place < opened.place:
            return
        if entry.kind == Kind.DATA:
            if entry.seq < opened.next:
                return
            if entry.seq > opened.next:
                self._miss(entry.channel, opened, entry.seq)
            opened.next = entry.seq + 1
        elif entry.kind == Kind.HELLO:
            # Others may be further in it.
            self._outbox.append(entry.channel.hello(opened.next))
            return
        self._outbox.append(entry.frame)

    def _miss(self, channel: Channel, opened: Opened, upcoming: int) -> None:
        """Say that what is before `upcoming` will not come."""
        lost = channel.records_in(upcoming - opened.next)
        self._outbox.append(channel.lost(upcoming, lost))
        opened.next = upcoming

    def _fell_off(self) -> None:
        """Go on with the oldest there still is: what had been told besides DATA is told again."""
        self._place = self._log.first
        for channel, opened in self._opened.items():
            self._outbox += introduce(channel, opened.next)
            self._resumed[channel] = None

    def _thin(self, seconds: float) -> None:
        """Send what has come since in few frames: a DATA frame a session, the extremes in it."""
        data: dict[Channel, list[Entry]] = {}
        ended: set[Channel] = set()
        for place in range(self._place, self._log.next):
            entry = self._log.get(place)
            opened = self._opened.get(entry.channel)
            if opened is not None and entry.kind == Kind.DATA:
                if place >= opened.place and entry.seq >= opened.next:
                    data.setdefault(entry.channel, []).append(entry)
            elif entry.kind == Kind.BYE:
                ended.add(entry.channel)
            elif entry.kind != Kind.PONG:
                self._step(entry, place)
        self._place = self._log.next
        before = self.thinned
        for channel, entries in data.items():
            self._thin_one(channel, self._opened[channel], entries)
        for channel in ended & self._opened.keys():
            self._outbox += conclude(channel, self._opened[channel].next)
        told = {"level": "lag", "seconds": round(seconds, 1), "count": self.thinned - before}
        self._outbox.appendleft(pack_json(Kind.EVENT, told, session=0))

    def _thin_one(self, channel: Channel, opened: Opened, entries: list[Entry]) -> None:
        payload, left_out = thin(channel, [entry.frame for entry in entries])
        last = entries[-1].seq
        gone = channel.records_in(entries[0].seq - opened.next)
        self.thinned += left_out
        if last > opened.next:
            self._outbox.append(channel.lost(last, gone + left_out))
        opened.next = last + 1
        if payload is not None:
            t0, count, records = payload
            self._outbox.append(pack(
                Kind.DATA, records, count=count, session=channel.session, seq=last, t0=t0
            ))  # fmt: skip

    def _replay(self) -> None:
        """Send DATA again from where it was asked for, as far as the log still has it."""
        upto: dict[Channel, int] = {}
        for channel, seq in self._replays.items():
            opened = self._opened.get(channel)
            if opened is not None and seq < opened.next:
                upto[channel], opened.next = opened.next, seq
        self._replays = {}
        for place in range(self._log.first, self._place) if upto else ():
            entry = self._log.get(place)
            if entry.channel in upto and entry.kind == Kind.DATA:
                self._step(entry, max(place, self._opened[entry.channel].place))
        for channel, seq in upto.items():
            opened = self._opened[channel]
            if opened.next < seq:
                self._miss(channel, opened, seq)
