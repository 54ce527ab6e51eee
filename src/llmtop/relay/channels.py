"""Batches of the sources -> entries of the log, on the thread that owns the store."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from llmtop.errors import WireError
from llmtop.relay.channel import Channel
from llmtop.relay.log import Entry, Log
from llmtop.relay.packing import pack_bins, pack_buckets, pack_counts, pack_samples
from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo, WireFrame
from llmtop.sources.introduce import read_definitions
from llmtop.wire import Kind, pack, read_json, unpack

MAX_CHANNELS = 4096
"""Sessions passed on: as many as a hub knows."""
BEAT_SECONDS = 2.0
"""Between two signs of life of a session: what a publisher gives itself."""
Place = tuple[Channel, int]
"""A session and a sid in it."""


class Channels:
    """Every session, and the log of what they say."""

    def __init__(self, instance: bytes, log: Log) -> None:
        """Begin with none; `instance` tells this life of the relay from others."""
        self.all: dict[tuple[int, str], Channel] = {}
        """By source and the source's key."""
        self.by_session: dict[int, Channel] = {}
        self.log = log
        self.version = 0
        """Grows when a session comes or is forgotten."""
        self.instance = instance
        self._places: dict[tuple[int, int], Place] = {}
        """By source and the source's key of a series."""
        self._packed: set[int] = set()
        """Sources with sessions that have no frames."""
        self._beats: dict[Channel, float] = {}
        self._ordered: tuple[int, list[Channel]] = (-1, [])
        """The sessions in order, as of a version."""

    def take(self, source: int, batch: Batch, mono: float, now: float = 0.0) -> None:
        """Put into the log what a batch says, in the order in which the store applies it."""
        for info in batch.runs:
            self._introduce(source, info, mono)
        if batch.buckets is not None or batch.histograms:
            # Folded history has names only; DATA that comes with it follows it.
            self._frames(source, batch, (Kind.DEFS,), mono)
            for series in batch.series:
                self._name(source, series, mono)
            self._history(source, batch, mono)
            self._frames(source, batch, (Kind.DATA,), mono)
        else:
            self._frames(source, batch, (Kind.DEFS, Kind.DATA), mono)
            for series in batch.series:
                self._name(source, series, mono)
        for part in batch.bucketed:
            place = self._places.get((source, part.series))
            if place is not None:
                frame = pack_counts(place[0].session, place[1], part)
                self._log(place[0], Kind.COUNTS, frame, mono)
        if batch.samples is not None and source in self._packed:
            self._pack(source, batch.samples, mono)
        for event in batch.events:
            channel = self.all.get((source, event.run))
            if channel is not None:
                self._log(channel, Kind.EVENT, channel.tell(event), mono)
        for end in batch.ends:
            channel = self.all.get((source, end.run))
            if channel is not None:
                self._log(channel, Kind.BYE, channel.end(end), mono)
        for key, ahead in batch.clocks:
            channel = self.all.get((source, key))
            if channel is not None:
                channel.ahead = ahead
        for key in batch.alive:
            self._beat(self.all.get((source, key)), mono, now)

    def in_order(self) -> list[Channel]:
        """Return the newest run first: what goes on now is what a viewer came for.

        Of one run the oldest process comes first: which attempt is which goes by that.
        """
        if self._ordered[0] != self.version:
            runs: dict[tuple[str, str], list[Channel]] = {}
            for channel in self.all.values():
                run = channel.info.name, channel.info.phase
                mine = runs[run] = runs.pop(run, [])
                mine.append(channel)
            order = [channel for some in reversed(runs.values()) for channel in some]
            self._ordered = self.version, order
        return self._ordered[1]

    def _frames(self, source: int, batch: Batch, kinds: tuple[int, ...], mono: float) -> None:
        """Put frames of wire sessions into the log, in their order."""
        known = self.all
        for wired in batch.frames:
            kind = wired.kind
            channel = known.get((source, wired.run)) if kind in kinds else None
            if channel is None:
                continue
            if kind == Kind.DATA:
                self._pass_on(channel, wired, mono)
            else:
                self._define(channel, wired, mono)

    def _log(
        self, channel: Channel, kind: int, frame: bytes, mono: float, seq: int = 0,
        records: int = 0,
    ) -> None:  # fmt: skip
        self.log.append(Entry(channel, kind, seq, records, frame, mono))

    def _introduce(self, source: int, info: RunInfo, mono: float) -> None:
        channel = self.all.get((source, info.key))
        if channel is None:
            if len(self.all) >= MAX_CHANNELS and not self._forget():
                return
            channel = Channel(source, info, self._session(source, info.key))
            if channel.session in self.by_session:
                # The same session came by two ways; one of them is enough.
                return
            self.all[source, info.key] = self.by_session[channel.session] = channel
            self.version += 1
            if not channel.wire:
                self._packed.add(source)
        elif channel.info == info and channel.ending is None:
            return
        channel.info, channel.ending = info, None
        self._log(channel, Kind.HELLO, channel.hello(channel.next), mono)

    def _session(self, source: int, key: str) -> int:
        """Return the session's own number, or one of this life of the relay for what has none."""
        if len(key) == 16:
            try:
                return int(key, 16)
            except ValueError:
                pass
        name = f"{source}/{key}".encode()
        return int.from_bytes(blake2b(name, digest_size=8, key=self.instance).digest(), "little")

    def _forget(self) -> bool:
        """Forget the oldest session that is over; False if none is."""
        over = next((place for place, one in self.all.items() if one.ending is not None), None)
        if over is None:
            return False
        channel = self.all.pop(over)
        del self.by_session[channel.session]
        self.version += 1
        self._beats.pop(channel, None)
        self._places = {k: place for k, place in self._places.items() if place[0] is not channel}
        return True

    def _define(self, channel: Channel, wired: WireFrame, mono: float) -> None:
        try:
            found = [*read_definitions(read_json(unpack(wired.data), list))]
        except WireError:
            return
        made = [channel.define(one) for one in found if one is not None]
        for frame in channel.defs([entry for entry in made if entry is not None]):
            self._log(channel, Kind.DEFS, frame, mono)

    def _name(self, source: int, info: SeriesInfo, mono: float) -> None:
        channel = self.all.get((source, info.run))
        if channel is None:
            return
        entry = None if channel.wire else channel.name(info)
        if entry is not None:
            for frame in channel.defs([entry]):
                self._log(channel, Kind.DEFS, frame, mono)
        sid = channel.sids.get(info.name)
        if sid is not None:
            self._places[source, info.key] = channel, sid

    def _pass_on(self, channel: Channel, wired: WireFrame, mono: float) -> None:
        _, kind, seq, count, data = wired
        if channel.oldest == channel.next:
            channel.oldest = seq
        channel.next = seq + 1
        channel.records += count
        channel.frames += 1
        self.log.append(Entry(channel, kind, seq, count, data, mono))

    def _pack(self, source: int, samples: Samples, mono: float) -> None:
        """Make DATA of the samples of sessions that have no frames."""
        for channel, sid, mine in self._split(source, samples.series):
            if channel.wire:
                continue
            columns = samples.time[mine], samples.step[mine], samples.value[mine]
            for t0, count, records in pack_samples(sid, *columns):
                data = pack(Kind.DATA, records, count=count, session=channel.session,
                            seq=channel.next, t0=t0)
                self._pass_on(channel, WireFrame("", Kind.DATA, channel.next, count, data), mono)

    def _history(self, source: int, batch: Batch, mono: float) -> None:
        if batch.buckets is not None:
            for channel, sid, mine in self._split(source, batch.buckets["series"]):
                rows = batch.buckets[mine]
                rows["series"] = sid
                for count, payload in pack_buckets(rows):
                    frame = pack(Kind.BUCKETS, payload, count=count, session=channel.session)
                    self._log(channel, Kind.BUCKETS, frame, mono)
        for part in batch.histograms:
            place = self._places.get((source, part.series))
            if place is not None:
                frame = pack_bins(place[0].session, place[1], part.bins, part.counts)
                self._log(place[0], Kind.HIST, frame, mono)

    def _split(
        self, source: int, keys: NDArray[np.uint32]
    ) -> list[tuple[Channel, NDArray[np.uint32], NDArray[np.intp]]]:
        """Return of each session that has some of the keys its sids, and where they stand."""
        unique, inverse = np.unique(keys, return_inverse=True)
        places = [self._places.get((source, key)) for key in unique.tolist()]
        found = list(dict.fromkeys(place[0] for place in places if place is not None))
        numbers = {channel: number for number, channel in enumerate(found)}
        number = np.array([-1 if p is None else numbers[p[0]] for p in places])[inverse.ravel()]
        sids = np.array([0 if p is None else p[1] for p in places], np.uint32)[inverse.ravel()]
        order = np.argsort(number, kind="stable")
        begins = np.searchsorted(number[order], np.arange(len(found)))
        split = np.split(order, begins)[1:]
        return [(channel, sids[mine], mine) for channel, mine in zip(found, split, strict=True)]

    def _beat(self, channel: Channel | None, mono: float, now: float) -> None:
        due = channel is not None and mono - self._beats.get(channel, -BEAT_SECONDS) >= BEAT_SECONDS
        if channel is not None and due and channel.ending is None:
            self._beats[channel] = mono
            self._log(channel, Kind.PONG, channel.beat(channel.next, now), mono, channel.next)

