"""Log entries -> sheets for the writer, on the thread that owns the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from weakref import WeakKeyDictionary

from llmtop.keep.entry import summary
from llmtop.keep.page import OWN, Told
from llmtop.keep.writer import Sheet, Writer
from llmtop.relay.channel import Channel
from llmtop.relay.log import Entry, Log
from llmtop.relay.opening import conclude, introduce, opening
from llmtop.sources.introduce import HOST_PHASE
from llmtop.store import Run, Store
from llmtop.store.replica import is_settled, run_of
from llmtop.wire import BUCKET, HEADER, RECORD, Kind, unpack

WRITE_SECONDS = 0.9
"""At least between two sheets: as a relay looks at its runs each half second, there is one each
second, which is what a kill can take."""
OPENINGS = 4
"""Sessions written whole in one turn, after something of them was missed: 40 ms at most."""
HELD_FRAMES = 1024
"""Frames of a session kept back until it is known which one it is."""
CLOSE_SECONDS = 5.0
"""What the last of it may take to be written."""
HOST_SECONDS = 60.0
"""Between two tables of a machine's processes: they are another each second, and shown live."""
FILE = "file"
"""What runs of log files name as their source."""


@dataclass(slots=True)
class _Kept:
    """One session as it is kept."""

    key: str = ""
    """"" until it is known."""
    held: list[Told] = field(default_factory=list)
    missed: bool = False
    """Something of it was not written, and what comes waits in the log until it is seen to."""
    told: float = float("-inf")
    """Monotonic seconds of the HELLO that was written."""


class Keeper:
    """Has what a relay passes on written to disk, run by run."""

    def __init__(self, writer: Writer, log: Log, origins: Sequence[str]) -> None:
        """Write by `writer` what comes into `log`; `origins` are the sources' names, in order."""
        self._writer, self._log, self._origins = writer, log, origins
        self._entries: list[Entry] = []
        self._known: WeakKeyDictionary[Channel, _Kept] = WeakKeyDictionary()
        self._missed: dict[Channel, None] = {}
        self._lacking: dict[Channel, None] = {}
        """Those that can only be written whole."""
        self._due = float("-inf")

    def hear(self, entry: Entry) -> None:
        """Note an entry of the log; signs of life are not kept."""
        if entry.kind != Kind.PONG:
            self._entries.append(entry)

    def turn(self, store: Store, mono: float) -> None:
        """Hand on what came, once a second."""
        if mono < self._due:
            return
        self._due = mono + WRITE_SECONDS
        told: dict[Run, list[Told]] = {}
        entries, self._entries = self._entries, []
        for entry in entries:
            self._take(store, entry, told)
        self._note(self._writer.missed, self._missed)
        self._note(self._writer.lacking, self._lacking)
        oldest: dict[str, int] = {}
        if self._writer.ok and self._writer.room:
            self._go_on(store, told, oldest)
            self._whole(store, told)
        for run, some in told.items():
            keys = {one.key for one in some}
            mine = {key: seq for key, seq in oldest.items() if key in keys}
            if self._writer.room:
                self._writer.put(Sheet(run.id, summary(run), some, mine))
            else:
                self._writer.missed.extend(keys)

    def close(self, store: Store, now: float) -> None:
        """Write what is left at `now` (unix seconds), and end."""
        self._due = float("-inf")
        for run in store.runs:
            run.refresh(now)
        self.turn(store, 0.0)
        self._writer.close(CLOSE_SECONDS)

    def _take(self, store: Store, entry: Entry, told: dict[Run, list[Told]]) -> None:
        channel = entry.channel
        kept = self._known.get(channel)
        if kept is None:
            key = f"{channel.session:016x}" if channel.wire else ""
            kept = self._known[channel] = _Kept(key)
        if kept.missed or (entry.kind == Kind.HELLO and _repeats(channel, kept, entry)):
            return
        run = run_of(store, channel.source, channel.info.key)
        if run is None:
            return
        seq = _seq(entry)
        one = Told(kept.key, entry.kind, seq, entry.frame, self._origins[channel.source])
        if kept.key:
            told.setdefault(run, []).append(one)
            return
        kept.held.append(one)
        if entry.kind in (Kind.DATA, Kind.BUCKETS):
            kept.key = own_key(channel, entry)
            told.setdefault(run, []).extend(
                one._replace(key=kept.key, anew=not at) for at, one in enumerate(kept.held)
            )
            kept.held = []
        elif len(kept.held) > HELD_FRAMES:
            del kept.held[1]

    def _note(self, keys: deque[str], those: dict[Channel, None]) -> None:
        """Note which sessions the writer names."""
        named = set()
        while keys:
            named.add(keys.popleft())
        for channel, kept in self._known.items() if named else ():
            if kept.key in named:
                kept.missed = True
                those[channel] = None

    def _go_on(self, store: Store, told: dict[Run, list[Told]], oldest: dict[str, int]) -> None:
        """Tell of sessions of which something was missed what the log still has of them."""
        ready: dict[Channel, Run] = {}
        for channel in list(self._missed):
            run = run_of(store, channel.source, channel.info.key)
            if run is not None and run.id in self._writer.refused:
                continue
            del self._missed[channel]
            if run is not None and channel not in self._lacking:
                ready[channel] = run
        if not ready:
            return
        for channel, run in ready.items():
            kept = self._known[channel]
            kept.missed = False
            oldest[kept.key] = channel.oldest
            frames = introduce(channel, channel.oldest)
            told.setdefault(run, []).extend(self._told(channel, frames))
        for entry in self._log.since(0):
            if entry.channel in ready and entry.kind in (Kind.DATA, Kind.COUNTS):
                told[ready[entry.channel]] += self._told(entry.channel, [entry.frame])
        for channel, run in ready.items():
            told[run] += self._told(channel, conclude(channel, channel.next))

    def _whole(self, store: Store, told: dict[Run, list[Told]]) -> None:
        """Tell some sessions as a late viewer is told of them: folded, and what is recent."""
        for channel in list(self._lacking)[:OPENINGS]:
            if not is_settled(store, channel.source, channel.info.key):
                continue
            run, kept = run_of(store, channel.source, channel.info.key), self._known[channel]
            kept.missed = False
            del self._lacking[channel]
            self._missed.pop(channel, None)
            if run is None:
                continue
            first, *others = self._told(channel, opening(channel, store))
            told[run] = [one for one in told.get(run, ()) if one.key != kept.key]
            told[run] += [first._replace(anew=True), *others]

    def _told(self, channel: Channel, frames: Sequence[bytes]) -> list[Told]:
        key, origin = self._known[channel].key, self._origins[channel.source]
        found = [unpack(frame) for frame in frames]
        return [
            Told(key, one.kind, one.seq, bytes(one.payload.obj), origin)
            for one in found if one.kind != Kind.PONG
        ]


def _repeats(channel: Channel, kept: _Kept, entry: Entry) -> bool:
    """Tell whether a machine only says what else it does this second."""
    if channel.info.phase == HOST_PHASE and entry.at - kept.told < HOST_SECONDS:
        return True
    kept.told = entry.at
    return False


def own_key(channel: Channel, entry: Entry) -> str:
    """Return the key of a session that has no number of its own but for this life of the relay.

    A log file that is read again begins as it did, and takes the place of what was read before.
    """
    name = f"{channel.session:016x}"
    if channel.info.source == FILE:
        first = BUCKET if entry.kind == Kind.BUCKETS else RECORD
        name = f"{channel.info.key}/{first.unpack_from(entry.frame, HEADER.size)[2:]}"
    return OWN + blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _seq(entry: Entry) -> int:
    """Return the seq of DATA and EVENT frames, 0 of others."""
    if entry.kind == Kind.EVENT:
        seq: int = HEADER.unpack_from(entry.frame)[5]
        return seq
    return entry.seq
