"""A run, a clock and rules: what the tests of alerts feed and look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from llmtop import metrics
from llmtop.rules.alert import Alert
from llmtop.rules.alerts import Alerts
from llmtop.rules.load import Layer, built_in, merge
from llmtop.rules.rule import Rule
from llmtop.samples import Batch, Event, RunEnd, RunInfo, Samples, SeriesInfo
from llmtop.store import Run, Store

T0 = 1_700_000_000.0
Values = Mapping[str, float | Sequence[float]]


def rules_of(**tables: Mapping[str, Any]) -> list[Rule]:
    """Return rules from tables, as a file would give them."""
    return merge([Layer("rules.toml", tables)])


def rule(when: str, **more: Any) -> list[Rule]:
    """Return one rule called "it"; `wait` is its `for`."""
    if "wait" in more:
        more["for"] = more.pop("wait")
    return rules_of(it={"when": when, **more})


def shipped(*names: str) -> list[Rule]:
    return [one for one in built_in() if one.name in names or not names]


class Trial:
    """One run that logs, and the alerts over it."""

    def __init__(
        self, rules: Iterable[Rule] | Alerts, *, phase: str = "train", name: str = "gpt",
        source: str = "local", tags: Mapping[str, object] | None = None,
        total_steps: int | None = None, now: float = T0, ranks: int = 0,
    ) -> None:  # fmt: skip
        self.alerts = rules if isinstance(rules, Alerts) else Alerts(list(rules))
        self.store = Store(memory_bytes=64 << 20)
        self.now = now
        self.news: list[Alert] = []
        self.step = -1
        self._keys: dict[tuple[str, int | None], int] = {}
        self._name = name
        self._about = {"phase": phase, "source": source, "tags": tags or {}, "host": "node-07",
                       "total_steps": total_steps, "pid": 7}
        for rank in range(ranks) if ranks else [None]:
            self.introduce(rank, world_size=ranks or None)

    def introduce(self, rank: int | None = None, *, key: str = "", **more: Any) -> None:
        info = RunInfo(key or self._session(rank), self._name, rank=rank, started=self.now,
                       **{**self._about, **more})
        self.store.apply(0, Batch(runs=(info,), alive=(info.key,)), self.now)
        self.store.tick(self.now)

    @property
    def run(self) -> Run:
        return self.store.runs[0]

    def _session(self, rank: int | None) -> str:
        return self._name if rank is None else f"{self._name}@{rank}"

    def put(
        self, values: Values, *, step: int | None = None, rank: int | None = None,
        unit: str = "", alive: bool = True, time: float | None = None,
    ) -> None:
        """Buffer values of one moment; a list of them are observations of it."""
        series, keys, numbers = [], [], []
        for name, value in values.items():
            if (name, rank) not in self._keys:
                key = self._keys[name, rank] = len(self._keys)
                known = metrics.find(name)
                kind = known.kind if known else "gauge"
                series.append(SeriesInfo(key, self._session(rank), name, kind, unit))
            for one in value if isinstance(value, Sequence) else [value]:
                keys.append(self._keys[name, rank])
                numbers.append(one)
        n = len(keys)
        samples = Samples(
            np.array(keys, np.uint32), np.full(n, self.now if time is None else time),
            np.full(n, -1 if step is None else step), np.array(numbers, np.float64),
        )  # fmt: skip
        sessions = (self._session(rank),) if alive else ()
        self.store.apply(0, Batch(series=tuple(series), samples=samples, alive=sessions), self.now)

    def judge(self) -> tuple[Alert, ...]:
        told = self.alerts.judge(self.store, self.store.commit(self.now), self.now)
        self.news += told
        return told

    def log(self, values: Values, *, every: float = 1.0, **more: Any) -> tuple[Alert, ...]:
        """Log values at the next step, judge, and let time pass."""
        if more.setdefault("step", self.step + 1) is not None:
            self.step = more["step"]
        self.put(values, **more)
        told = self.judge()
        self.now += every
        return told

    def feed(self, name: str, values: Iterable[float], **more: Any) -> None:
        for value in values:
            self.log({name: value}, **more)

    def wait(self, seconds: float, *, every: float = 5.0, alive: bool = True) -> None:
        """Let time pass; the process is heard of, but logs nothing."""
        stop = self.now + seconds
        while self.now < stop:
            if alive:
                sessions = tuple(one.key for one in self.run.sessions.values())
                self.store.apply(0, Batch(alive=sessions), self.now)
            self.judge()
            self.now += min(every, max(stop - self.now, 1e-3))
        self.judge()

    def event(self, text: str) -> None:
        self.store.apply(0, Batch(events=(Event(self._session(None), self.now, "info", text),)),
                         self.now)

    def end(self, reason: str, text: str = "") -> None:
        over = RunEnd(self._session(None), self.now, reason, text)  # type: ignore[arg-type]
        self.store.apply(0, Batch(ends=(over,)), self.now)
        self.judge()

    @property
    def fired(self) -> list[str]:
        """Names of the rules that ever fired, in order."""
        found = [*(one for one in self.alerts.history if one.fired_at is not None),
                 *self.alerts.active]
        return sorted({one.rule for one in found})

    @property
    def active(self) -> list[str]:
        return [one.rule for one in self.alerts.active]
