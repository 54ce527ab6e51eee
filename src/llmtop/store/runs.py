"""Runs: what one name means to a person, over all its ranks, sessions and attempts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llmtop.metrics import Metric
from llmtop.samples import EndReason, Event, RunInfo
from llmtop.store.series import Series

State = Literal["live", "stale", "finished", "failed", "died", "restarted"]

STALE_SECONDS = 15.0
"""Silence after which a run is stale: two lost heartbeats (6 s each) and a slow disk."""
STALE_LIMIT_SECONDS = 600.0
"""Silence after which even a run that is known to log rarely is stale."""
STALE_GAPS = 3.0
"""A run that logs once in g seconds is stale after this many g: one late step is not an alarm."""
TAKEOVER_SECONDS = 6.0
"""Silence after which a new session may take a rank over: the heartbeat timeout of the wire."""
CLOCK_SECONDS = 1.0
"""What clocks may differ by without a word: nothing on the screen is finer across hosts."""
MAX_EVENTS = 1000
"""Events kept a run: 40 screens of them."""
MAX_LOG_LINES = 1000
"""Lines of its output kept a run: what one scrolls back through before opening the file."""
HOST_PHASE = "host"
"""Phase of a run that is a machine: its series are of devices, its tags tables."""
LOG_LEVEL = "log"
"""Level of an event that is a plain line of output."""
WORST_FIRST: tuple[EndReason, ...] = ("died", "failed", "finished")
"""What a run of several ended ranks is called: the worst of their ends."""


@dataclass(eq=False, slots=True)
class Session:
    """The life of one process of a run, and the place in the run it has."""

    key: str
    index: int
    """Its number in the store."""
    run: Run
    rank: int | None
    attempt: int
    info: RunInfo
    last_seen: float
    heard: bool = False
    """False while last_seen is only what the introduction says."""
    gap: float = 0.0
    """Typical seconds between two signs of life."""
    ended: EndReason | None = None
    high_step: int = -1
    """Largest step of this attempt."""
    names: dict[str, int] = field(default_factory=dict)
    """Series ids by name, of this attempt; a series without steps stays through attempts."""
    ahead: float = 0.0
    """Seconds by which its machine's clock is ahead of this one's, as far as that is known."""
    held_since: float | None = None
    """When points that may or may not be a rollback were first held back."""

    def hear(self, now: float) -> None:
        """Note a sign of life at `now`."""
        if not self.heard:
            self.heard, self.last_seen = True, now
        elif now > self.last_seen:
            self.gap += 0.2 * (min(now - self.last_seen, STALE_LIMIT_SECONDS) - self.gap)
            self.last_seen = now

    def gone(self, now: float) -> bool:
        """Tell whether another process may take this one's place."""
        silent = now - self.last_seen
        return self.ended is not None or silent > max(TAKEOVER_SECONDS, STALE_GAPS * self.gap)

    def state(self, now: float) -> State:
        """Return what the session is at `now`."""
        if self.ended:
            return self.ended
        silent = now - self.last_seen
        if silent <= STALE_SECONDS:
            return "live"
        patience = min(max(STALE_SECONDS, STALE_GAPS * self.gap), STALE_LIMIT_SECONDS)
        return "stale" if silent > patience else "live"


@dataclass(slots=True)
class RankState:
    """One rank of a run, as its newest session left it."""

    rank: int
    last_seen: float
    step: int
    """Largest step of its attempt, -1 = none."""
    state: State
    pid: int
    host: str
    attempt: int
    ahead: float = 0.0
    """Seconds by which its machine's clock is ahead of this one's, 0 where that is not known."""

    @property
    def is_off(self) -> bool:
        """Whether its clock differs from this machine's by more than may go without a word."""
        return abs(self.ahead) > CLOCK_SECONDS


@dataclass(slots=True)
class Attempt:
    """One go at a run; the next begins when a process starts again or steps go backwards."""

    number: int
    """1 for the first."""
    started: float
    first_step: int = -1
    """-1 until a step is seen."""
    state: State = "live"
    """How it ended: its own end, or "restarted" when the next one cut it short."""


@dataclass(eq=False, slots=True)
class Run:
    """One run; the store writes it, others read it."""

    id: int
    name: str
    """As logged, with " #2" when another live run has that name."""
    base: str
    """As logged."""
    host: str
    pid: int
    phase: str
    source: str
    """local, or how its samples came here."""
    started: float
    """Unix seconds; 0 until known."""
    world_size: int | None
    total_steps: int | None
    tags: Mapping[str, object]
    last_seen: float
    step: int = -1
    """Largest step of the current attempt, -1 = none."""
    state: State = "live"
    reason: str = ""
    """What was said about its end."""
    ranks: dict[int, RankState] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    log: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_LOG_LINES))
    """The last lines it printed that are neither metrics nor events."""
    series: list[Series] = field(default_factory=list)
    """Of every attempt, in order of first sight."""
    sessions: dict[int, Session] = field(default_factory=dict)
    """The newest session of each rank (rank None has place 0)."""
    version: int = 0
    """Grows with each change."""
    _by_name: dict[str, list[Series]] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """Number of the current attempt, from 1."""
        return len(self.attempts)

    @property
    def is_host(self) -> bool:
        """Whether it is a machine and not a job."""
        return self.phase == HOST_PHASE

    @property
    def restarts(self) -> int:
        """Attempts after the first."""
        return max(len(self.attempts) - 1, 0)

    def add(self, series: Series) -> None:
        """Note one more series."""
        self.series.append(series)
        names = {series.name, series.metric.name} if series.metric else {series.name}
        for name in names:
            self._by_name.setdefault(name, []).append(series)
        self.version += 1

    def find(
        self, what: Metric | str, rank: int | None = None, attempt: int | None = None
    ) -> list[Series]:
        """Return the series of a metric or name, in order of first sight.

        `what` is a Metric, a canonical metric name or a name as logged; None = any rank, any
        attempt.
        """
        found = self._by_name.get(what if isinstance(what, str) else what.name, [])
        return [
            series
            for series in found
            if rank in (None, series.rank) and attempt in (None, series.attempt)
        ]

    def latest(self, what: Metric | str, rank: int | None = None) -> list[Series]:
        """Return of each name and rank the series of its newest attempt.

        A series without steps goes on through rollbacks, so its attempt may be older than the
        run's.
        """
        newest: dict[tuple[str, int | None], Series] = {}
        for series in self.find(what, rank):
            key = series.name, series.rank
            if key not in newest or newest[key].attempt <= series.attempt:
                newest[key] = series
        return list(newest.values())

    def begin_attempt(self, started: float) -> int:
        """End the current attempt, if any, and return the number of a new one."""
        if self.attempts and self.attempts[-1].state == "live":
            self.attempts[-1].state = "restarted"
        self.attempts.append(Attempt(len(self.attempts) + 1, started))
        self.step = -1
        self.reason = ""
        self.version += 1
        return self.attempt

    def clock_off(self) -> RankState | None:
        """Return the rank whose clock is furthest from this machine's, if that is worth telling."""
        worst = max(self.ranks.values(), key=lambda seen: abs(seen.ahead), default=None)
        return worst if worst is not None and worst.is_off else None

    def refresh(self, now: float) -> bool:
        """Bring state, ranks, step and last_seen in line with the sessions; tell if that changed.

        What is stale or over changes only by what a session sends, so a reader need not ask.
        """
        changed, ranks, attempt = False, self.ranks, len(self.attempts)
        step, last_seen, states = -1, float("-inf"), set()
        # A thousand ranks are looked at ten times a second, so that nothing is made anew here
        # which is as it was.
        for place, session in self.sessions.items():
            state, info = session.state(now), session.info
            rank = ranks.get(place)
            if (
                rank is None or rank.last_seen != session.last_seen or rank.state != state
                or rank.step != session.high_step or rank.attempt != session.attempt
                or rank.pid != info.pid or rank.host != info.host or rank.ahead != session.ahead
            ):  # fmt: skip
                ranks[place] = RankState(
                    place, session.last_seen, session.high_step, state, info.pid, info.host,
                    session.attempt, session.ahead,
                )  # fmt: skip
                changed = True
            if session.attempt == attempt and session.high_step > step:
                step = session.high_step
            if session.last_seen > last_seen:
                last_seen = session.last_seen
            states.add(state)
        if not self.sessions:
            last_seen = self.last_seen
        joint = _joint(states) or self.state
        if changed or (step, last_seen, joint) != (self.step, self.last_seen, self.state):
            self.step, self.last_seen, self.state = step, last_seen, joint
            self.version += 1
            changed = True
        if self.attempts:
            self.attempts[-1].state = joint if joint in WORST_FIRST else "live"
        return changed


def _joint(states: set[State]) -> State | None:
    """Return what several ranks make of a run: live if one is, else stale if one is, else ended."""
    for state in ("live", "stale", *WORST_FIRST):
        if state in states:
            return state
    return None
