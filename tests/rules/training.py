"""A run whose steps take what a test says, for the rules that work on steps and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from llmtop.rules.derive import Derivation
from llmtop.samples import Batch, RunEnd, RunInfo, Samples, SeriesInfo, SeriesKind
from llmtop.store import Run, Series, Store

T0 = 1_700_000_000.0


class Training:
    """Logs to a store at times of its own; derives after each commit."""

    def __init__(self, **about: Any) -> None:
        self.store = Store(memory_bytes=64 << 20)
        self.derivation = Derivation()
        self.now = T0
        self.grew: frozenset[int] = frozenset()
        """What the last derivation added to."""
        self._about, self._key = {"name": "gpt", "host": "h", "pid": 7, **about}, ""
        self._keys: dict[str, int] = {}
        self._given = 0
        self.begin()

    @property
    def run(self) -> Run:
        return self.store.runs[0]

    def begin(self, **about: Any) -> None:
        """Start a process: the first, it again, or that of another rank."""
        self._about |= about
        self._key, self._keys = f"s{self._given}", {}
        info = RunInfo(self._key, started=self.now, **self._about)
        self.store.apply(0, Batch(runs=(info,), alive=(self._key,)), self.now)
        self.store.tick(self.now)

    def end(self, reason: str = "finished") -> None:
        over = RunEnd(self._key, self.now, reason)  # type: ignore[arg-type]
        self.store.apply(0, Batch(ends=(over,)), self.now)
        self.store.tick(self.now)

    def define(self, name: str, kind: SeriesKind = "gauge") -> int:
        if name not in self._keys:
            self._keys[name] = self._given
            self._given += 1
            info = SeriesInfo(self._keys[name], self._key, name, kind)
            self.store.apply(0, Batch(series=(info,)), self.now)
        return self._keys[name]

    def log(
        self, steps: Sequence[int], seconds: float | Iterable[float] = 1.0, *,
        names: Sequence[str] = ("loss",), a_commit: int = 7,
    ) -> None:  # fmt: skip
        """Log names at some steps; before each one so many seconds pass."""
        each = [seconds] * len(steps) if isinstance(seconds, (int, float)) else list(seconds)
        times = self.now + np.cumsum(each)
        keys = [self.define(name) for name in names]
        for at in range(0, len(steps), a_commit):
            some, when = steps[at : at + a_commit], times[at : at + a_commit]
            n = len(some) * len(keys)
            samples = Samples(
                np.tile(np.array(keys, np.uint32), len(some)), np.repeat(when, len(keys)),
                np.repeat(np.array(some, np.int64), len(keys)), np.ones(n),
            )  # fmt: skip
            self.now = float(when[-1])
            self.store.apply(0, Batch(samples=samples, alive=(self._key,)), self.now)
            self.derive()

    def derive(self, *, settle: bool = False) -> None:
        changed = self.store.commit(self.now, settle=settle)
        self.grew = self.derivation.derive(self.store, changed, self.now)

    def wait(self, seconds: float, *, alive: bool = True) -> None:
        """Let time pass without a sample."""
        self.now += seconds
        if alive:
            self.store.apply(0, Batch(alive=(self._key,)), self.now)
        self.store.tick(self.now)

    def derived(self, name: str, attempt: int | None = None) -> Series:
        (found,) = [one for one in self.run.find(name, attempt=attempt) if one.derived]
        return found

    def points(self, name: str, attempt: int | None = None) -> list[tuple[int, float]]:
        """Return step and value, rounded to what times of today can say, of a derived series."""
        held = self.derived(name, attempt).window(10_000)
        return [
            (step, round(value, 5))
            for step, value in zip(held.step.tolist(), held.value.tolist(), strict=True)
        ]
