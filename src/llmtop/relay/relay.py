"""The relay: sources into a store, and all they say on to the viewers. One thread owns it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from llmtop.clock import Clock
from llmtop.engine import Engine
from llmtop.errors import WireError
from llmtop.relay.channels import Channels
from llmtop.relay.listener import Listener
from llmtop.relay.log import Log
from llmtop.relay.outlet import Outlet
from llmtop.relay.viewer import Viewer
from llmtop.samples import Batch
from llmtop.sources import Source
from llmtop.sources.intake import Intake
from llmtop.sources.introduce import LARGEST, whole
from llmtop.store import Store
from llmtop.wire import Frame, read_json

TURN_SECONDS = 0.1
"""Between two turns: 10 a second, twice what a screen shows; each costs what 1000 ranks do."""
OPEN_SECONDS = 0.05
"""Spent in one turn on histories for one viewer, so that nobody waits for a late one."""
JOB_SECONDS = 0.02
"""Spent in one turn on each other job: a fifth of the time, were it asked for all the time."""
STATE_SECONDS = 0.5
"""Between two looks at which ranks are stale, where no screen shows them: each costs a microsecond
a rank."""
COLLECT_OBJECTS = 50_000
"""Objects made before cycles among them are looked for, which are few: the log alone holds a
hundred thousand, and to go through all of them takes a tenth of a second."""
MAX_HAVE = 4096
"""Sessions a viewer may say it has: as many as a hub knows."""


class Keeping(Protocol):
    """Whoever keeps what is passed on."""

    def turn(self, store: Store, mono: float) -> None:
        """Do what is due at `mono` (seconds)."""
        ...


class PublishedStore(Store):
    """A store that passes on whatever is applied to it."""

    def __init__(self, channels: Channels, clock: Clock, *, memory_bytes: int) -> None:
        super().__init__(memory_bytes=memory_bytes)
        self.keeper: Keeping | None = None
        self._channels, self._clock = channels, clock
        self.state_seconds = 0.0
        """Between two looks at which runs and ranks are stale."""
        self._looked = float("-inf")

    def apply(self, source: int, batch: Batch, now: float) -> None:
        """Take in what a source saw, and put it into the log."""
        super().apply(source, batch, now)
        self._channels.take(source, batch, self._clock.monotonic(), now)

    def tick(self, now: float) -> None:
        """Bring the states of runs up to date, and let them be kept."""
        mono = self._clock.monotonic()
        if mono - self._looked >= self.state_seconds:
            self._looked = mono
            super().tick(now)
            if self.keeper is not None:
                self.keeper.turn(self, mono)


def pass_on(sources: Iterable[Source]) -> None:
    """Have sources that read frames hand them on with what they read from them."""
    for source in sources:
        intake = getattr(source, "intake", None)
        if isinstance(intake, Intake):
            intake.keep_frames = True


class Relay:
    """An engine without a screen, and its viewers."""

    def __init__(
        self, sources: Sequence[Source], listeners: Sequence[Listener], clock: Clock, *,
        memory_bytes: int, jobs: Sequence[Callable[[Engine, float], None]] = (),
    ) -> None:  # fmt: skip
        """Relay what `sources` and `listeners` say.

        Args:
            sources: what is read here.
            listeners: where others publish and attach.
            clock: the time.
            memory_bytes: of the store.
            jobs: called in each turn with the engine and the monotonic time by which to be done.
        """
        self._jobs = tuple(jobs)
        self.channels = Channels(os.urandom(8), Log())
        self.viewers: dict[Outlet, Viewer] = {}
        self._clock, self._listeners = clock, listeners
        every = [*sources, *listeners]
        pass_on(every)
        store = PublishedStore(self.channels, clock, memory_bytes=memory_bytes)
        store.state_seconds, store.tells = STATE_SECONDS, False
        # What numbers mean is worked out where they are looked at.
        self.engine = Engine(store, every, clock, rules=False)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set."""
        before = gc.get_threshold()
        gc.set_threshold(COLLECT_OBJECTS, *before[1:])
        self.engine.start()
        try:
            while not stop.wait(TURN_SECONDS):
                self.turn()
        finally:
            self.engine.stop()
            gc.set_threshold(*before)

    def turn(self) -> None:
        """Take in what came and send on what there is."""
        clock = self._clock
        self.engine.pump(clock.time())
        for listener in self._listeners:
            for outlet in listener.outlets:
                self._hear(outlet)
        for outlet in [outlet for outlet in self.viewers if outlet.gone]:
            del self.viewers[outlet]
        for viewer in self.viewers.values():
            viewer.turn(self.engine.store, clock, clock.monotonic() + OPEN_SECONDS)
        for job in self._jobs:
            job(self.engine, clock.monotonic() + JOB_SECONDS)

    def _hear(self, outlet: Outlet) -> None:
        viewer = self.viewers.get(outlet)
        if viewer is None:
            viewer = Viewer(outlet, self.channels, _have(outlet.hello))
            self.viewers[outlet] = viewer
        for _ in range(len(outlet.asked)):
            viewer.hear(outlet.asked.popleft())


def _have(frame: Frame) -> dict[int, int]:
    """Return the sessions a viewer says it has, and the seq it expects next in each."""
    try:
        have = read_json(frame, dict).get("have")
    except WireError:
        return {}
    if not isinstance(have, dict) or len(have) > MAX_HAVE:
        return {}
    found: dict[int, int] = {}
    for key, value in have.items():
        seq = whole(value, 0, LARGEST)
        try:
            session = int(key, 16)
        except ValueError:
            continue
        if seq is not None:
            found[session] = seq
    return found
