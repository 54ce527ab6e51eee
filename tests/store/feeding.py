"""A source in three lines: what the tests of the store feed it with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from llmtop.samples import (
    BUCKET_DTYPE,
    Batch,
    RunEnd,
    RunInfo,
    Samples,
    SeriesInfo,
    SeriesKind,
)
from llmtop.store import Run, Series, Store

T0 = 1_000_000.0


def samples(
    keys: Sequence[int] | np.ndarray, values: Sequence[float] | np.ndarray,
    *, steps: Sequence[int] | np.ndarray | None = None,
    times: Sequence[float] | np.ndarray | None = None,
) -> Samples:
    n = len(values)
    return Samples(
        np.asarray(keys, dtype=np.uint32),
        np.asarray(T0 + np.arange(n) if times is None else times, dtype=np.float64),
        np.asarray(np.full(n, -1) if steps is None else steps, dtype=np.int64),
        np.asarray(values, dtype=np.float64),
    )


class Session:
    """One process that logs to a store, its own clock at hand."""

    def __init__(
        self, store: Store, name: str = "demo", *, key: str = "s1", source: int = 1,
        now: float = T0, rank: int | None = None, world_size: int | None = None,
        phase: str = "train", first_key: int = 0,
    ) -> None:
        self.store, self.key, self.source, self.now = store, key, source, now
        self.keys: dict[str, int] = {}
        self.first_key = first_key
        info = RunInfo(
            key, name, host="node", pid=7, rank=rank, world_size=world_size, phase=phase,
            started=now,
        )
        store.apply(source, Batch(runs=(info,), alive=(key,)), now)
        store.tick(now)

    @property
    def run(self) -> Run:
        return next(
            run for run in self.store.runs
            for session in run.sessions.values() if session.key == self.key
        )

    def define(self, *names: str, kind: SeriesKind = "gauge") -> None:
        infos = []
        for name in names:
            self.keys.setdefault(name, self.first_key + len(self.keys))
            infos.append(SeriesInfo(self.keys[name], self.key, name, kind))
        self.store.apply(self.source, Batch(series=tuple(infos)), self.now)

    def log(
        self, name: str, values: Iterable[float], *, steps: Sequence[int] | None = None,
        times: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Buffer points of one series; steps default to none."""
        values = np.asarray(list(values), dtype=np.float64)
        if name not in self.keys:
            self.define(name)
        if times is None:
            times = np.full(len(values), self.now)
        batch = samples([self.keys[name]] * len(values), values, steps=steps, times=times)
        self.store.apply(self.source, Batch(samples=batch, alive=(self.key,)), self.now)

    def commit(self, after: float = 1.0, *, settle: bool = False) -> frozenset[int]:
        self.now += after
        return self.store.commit(self.now, settle=settle)

    def train(self, start: int, stop: int, name: str = "loss", *, a_commit: int = 10) -> None:
        """Log one point a step, some steps a commit, a second apart."""
        for first in range(start, stop, a_commit):
            steps = range(first, min(first + a_commit, stop))
            self.log(name, [1.0 / (step + 1) for step in steps], steps=list(steps))
            self.commit()

    def end(self, reason: str = "finished", text: str = "") -> None:
        end = RunEnd(self.key, self.now, reason, text)
        self.store.apply(self.source, Batch(ends=(end,)), self.now)
        self.store.tick(self.now)

    def series(self, name: str) -> Series:
        """The newest series of a name."""
        return self.run.latest(name)[-1]


def bucket_rows(
    key: int, values: np.ndarray, *, per: int, first_step: int = 0, times: np.ndarray | None = None
) -> np.ndarray:
    """What a publisher makes of old points: `per` of them a row."""
    if times is None:
        times = T0 + np.arange(len(values), dtype=np.float64)
    rows = []
    for start in range(0, len(values), per):
        some = values[start : start + per]
        stop = start + len(some)
        rows.append(
            (key, len(some), times[start], times[stop - 1], first_step + start,
             first_step + stop - 1, some.sum(), some.min(), some.max(), some[-1], 0.0)
        )  # fmt: skip
    return np.array(rows, dtype=BUCKET_DTYPE)
