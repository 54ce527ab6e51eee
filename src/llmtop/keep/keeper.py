"""Log entries -> sheets for the writer, on the thread that owns the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from weakref import WeakKeyDictionary

from llmtop.keep.entry import summary
from llmtop.keep.page import OWN, Told
from llmtop.keep.writer import Sheet, Writer
from llmtop.relay.channel import Channel
from llmtop.relay.log import Entry
from llmtop.relay.opening import opening
from llmtop.sources.introduce import HOST_PHASE
from llmtop.store import Run, Store
from llmtop.store.replica import is_settled, run_of
from llmtop.wire import BUCKET, HEADER, RECORD, Kind, unpack

WRITE_SECONDS = 1.0
"""Between two sheets: the most that a kill can take."""
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
    """Something of it was not written: it is to be written whole."""
    told: float = float("-inf")
    """Monotonic seconds of the HELLO that was written."""


class Keeper:
    """Has what a relay passes on written to disk, run by run."""

    def __init__(self, writer: Writer, origins: Sequence[str]) -> None:
        """Write by `writer`; `origins` are the names of the sources, in their order."""
        self._writer, self._origins = writer, origins
        self._entries: list[Entry] = []
        self._known: WeakKeyDictionary[Channel, _Kept] = WeakKeyDictionary()
        self._missed: dict[Channel, None] = {}
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
        self._miss()
        self._whole(store, told)
        for run, some in told.items():
            sheet = Sheet(run.id, summary(run), some)
            if self._writer.room:
                self._writer.put(sheet)
            else:
                self._writer.missed.extend({one.key for one in some})

    def close(self, store: Store) -> None:
        """Write what is left, and end."""
        self._due = float("-inf")
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

    def _miss(self) -> None:
        """Mark the sessions of which the writer missed something."""
        keys = set()
        while self._writer.missed:
            keys.add(self._writer.missed.popleft())
        if keys:
            for channel, kept in self._known.items():
                if kept.key in keys:
                    kept.missed = True
                    self._missed[channel] = None

    def _whole(self, store: Store, told: dict[Run, list[Told]]) -> None:
        """Write some of those sessions whole, where that is possible by now."""
        left = OPENINGS if self._writer.ok and self._writer.room else 0
        for channel in list(self._missed):
            run = run_of(store, channel.source, channel.info.key)
            if left == 0 or (run is not None and run.id in self._writer.refused):
                continue
            if not is_settled(store, channel.source, channel.info.key):
                continue
            kept = self._known[channel]
            kept.missed = False
            del self._missed[channel]
            if run is None:
                continue
            left -= 1
            origin = self._origins[channel.source]
            frames = [unpack(frame) for frame in opening(channel, store)]
            told[run] = [one for one in told.get(run, ()) if one.key != kept.key]
            told[run] += [
                Told(kept.key, one.kind, one.seq, bytes(one.payload.obj), origin, anew=not at)
                for at, one in enumerate(frames) if one.kind != Kind.PONG
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
