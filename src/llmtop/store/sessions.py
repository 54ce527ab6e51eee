"""Which run a new process belongs to.

A session joins a run of its name, phase and kind of source when its rank's place there is free:
never taken, or left by a process that ended or fell silent. Otherwise it is another run of the
same name, "name #2". A rank that comes back begins a new attempt; the other ranks that come back
after it join that attempt.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmtop.samples import Batch, RunInfo
from llmtop.store.runs import LOG_LEVEL, Run, Session
from llmtop.wire import OVERFLOW_NAME, clean_name

MAX_RUNS = 4096
"""Runs of one store: the tables on the screen are scrolled by hand; later ones share one run."""
MAX_SESSIONS = 1 << 14
"""Sessions remembered by key: every rank of the largest job, and 16 restarts of 1024 ranks."""
MAX_ATTEMPTS = 512
"""Attempts of one run: logs with 416 restarts have been seen; later ones continue the last."""


class Sessions:
    """Every session by its source and key, and the runs they make up."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.all: dict[int, Session] = {}
        """By session index."""
        self._next = 0
        self._by_key: dict[tuple[int, str], Session] = {}

    def find(self, source: int, key: str) -> Session | None:
        """Return the session that a source calls `key`."""
        return self._by_key.get((source, key))

    def register(self, source: int, info: RunInfo, now: float) -> Session:
        """Return the session `info` introduces, old or new; a known one is brought up to date."""
        session = self._by_key.get((source, info.key))
        if session is None:
            run = self._place(info, now)
            attempt = self._attempt(run, info, now)
            seen = min(info.started or now, now)
            session = Session(info.key, self._next, run, info.rank, attempt, info, seen)
            self.all[self._next] = session
            self._next += 1
            self._remember(source, session)
            run.sessions[place_of(info)] = session
        session.info, session.ended = info, None
        _describe(session.run, info)
        return session

    def hear(self, source: int, batch: Batch, now: float) -> set[Run]:
        """Note signs of life, then events, then ends; return the runs they are of."""
        touched = set()
        for key in batch.alive:
            if (session := self.find(source, key)) is not None:
                session.hear(now)
                # Only a death is an inference; a process heard from again has not died.
                session.ended = None if session.ended == "died" else session.ended
                touched.add(session.run)
        for key, ahead in batch.clocks:
            if (session := self.find(source, key)) is not None:
                session.ahead = ahead
                touched.add(session.run)
        for event in batch.events:
            if (session := self.find(source, event.run)) is not None:
                plain = event.level == LOG_LEVEL
                (session.run.log if plain else session.run.events).append(event)
                touched.add(session.run)
        for end in batch.ends:
            if (session := self.find(source, end.run)) is not None:
                session.ended, session.run.reason = end.reason, end.text
                session.hear(min(end.time, now))
                touched.add(session.run)
        return touched

    def _place(self, info: RunInfo, now: float) -> Run:
        base = clean_name(info.name)
        same = [
            run for run in self.runs
            if (run.base, run.phase, run.source) == (base, info.phase, info.source)
        ]  # fmt: skip
        for run in sorted(same, key=lambda run: -run.last_seen):
            if _free(run, info, now):
                return run
        if len(self.runs) >= MAX_RUNS:
            # The run of all that there is no room for: its sessions share its places.
            if self.runs[-1].base != OVERFLOW_NAME:
                self.runs.append(_new_run(len(self.runs), OVERFLOW_NAME, OVERFLOW_NAME, info, now))
            return self.runs[-1]
        name = _unused(base, (run.name for run in self.runs))
        self.runs.append(_new_run(len(self.runs), name, base, info, now))
        return self.runs[-1]

    def _attempt(self, run: Run, info: RunInfo, now: float) -> int:
        """Return the attempt a new session belongs to, begun now if it is the first of it."""
        previous = run.sessions.get(place_of(info))
        all_over = bool(run.sessions) and all(other.ended for other in run.sessions.values())
        behind = previous is not None and previous.attempt == run.attempt
        if not run.attempts or ((behind or all_over) and run.attempt < MAX_ATTEMPTS):
            return run.begin_attempt(info.started or now)
        return run.attempt

    def _remember(self, source: int, session: Session) -> None:
        self._by_key[source, session.key] = session
        if len(self._by_key) > MAX_SESSIONS:
            ended = (key for key, known in self._by_key.items() if known.ended)
            oldest = next(ended, next(iter(self._by_key)))
            forgotten = self._by_key.pop(oldest)
            if not forgotten.names:
                del self.all[forgotten.index]


def place_of(info: RunInfo) -> int:
    """Return the place in a run: a process without a rank is alone, as rank 0 would be."""
    return info.rank if info.rank is not None else 0


def _free(run: Run, info: RunInfo, now: float) -> bool:
    holder = run.sessions.get(place_of(info))
    if holder is None:
        return run.world_size == info.world_size
    return holder.gone(now)


def _new_run(number: int, name: str, base: str, info: RunInfo, now: float) -> Run:
    return Run(
        number, name, base, clean_name(info.host) if info.host else "", info.pid, info.phase,
        info.source, info.started, info.world_size, info.total_steps, dict(info.tags), now,
    )  # fmt: skip


def _unused(base: str, names: Iterable[str]) -> str:
    taken = set(names)
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base} #{number}"
    return name


def _describe(run: Run, info: RunInfo) -> None:
    """Take over what the newest session says of the run as a whole."""
    run.total_steps = info.total_steps if info.total_steps is not None else run.total_steps
    run.world_size = info.world_size if info.world_size is not None else run.world_size
    if place_of(info) == 0:
        run.host, run.pid = info.host or run.host, info.pid or run.pid
        run.phase = info.phase
    if info.tags:
        run.tags = {**run.tags, **info.tags}
    run.version += 1
