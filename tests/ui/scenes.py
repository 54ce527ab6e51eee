"""Runs made for the tests of the screen: the same numbers every time."""

from __future__ import annotations

import numpy as np

from llmtop.clock import ManualClock
from llmtop.engine import Engine
from llmtop.samples import Batch, Event, RunEnd, RunInfo, Samples, SeriesInfo
from llmtop.store import Store
from llmtop.ui.app import LlmtopApp
from llmtop.ui.panels.base import Scene
from llmtop.ui.select import selected
from llmtop.ui.view import View

T0 = 1_750_000_000.0
STEPS = 2000
SECONDS_A_STEP = 0.5


class World:
    """A store filled by hand, and the moment it is looked at."""

    def __init__(self) -> None:
        self.store = Store(memory_bytes=64 << 20)
        self.clock = ManualClock(T0)
        self._keys = 0
        self.commits = True
        """Whether what is added is stored at once; else by the app's next tick."""

    def run(self, name: str, **about: object) -> str:
        """Introduce a run; return its key."""
        self._apply(runs=(RunInfo(key=name, name=name, started=T0, **about),))  # type: ignore[arg-type]
        return name

    def log(
        self, run: str, name: str, values: np.ndarray, *, steps: np.ndarray | None = None,
        times: np.ndarray | None = None, kind: str = "gauge", unit: str = "",
    ) -> None:  # fmt: skip
        """Log values of one name, a step each SECONDS_A_STEP unless told."""
        n = len(values)
        key, self._keys = self._keys, self._keys + 1
        if steps is None:
            steps = np.arange(n) if kind == "gauge" else np.full(n, -1)
        times = T0 + np.arange(n) * SECONDS_A_STEP if times is None else times
        samples = Samples(
            np.full(n, key, np.uint32), times.astype(np.float64), steps.astype(np.int64),
            values.astype(np.float64),
        )  # fmt: skip
        self.clock.now = max(self.clock.now, float(times[-1]) + 0.5)
        self._apply(series=(SeriesInfo(key, run, name, kind, unit),), samples=samples)  # type: ignore[arg-type]

    def event(self, run: str, step: int, text: str, level: str = "info") -> None:
        """Add an event at a step."""
        self._apply(events=(Event(run, T0 + step * SECONDS_A_STEP, level, text, step),))

    def end(self, run: str, reason: str = "finished", text: str = "") -> None:
        """End a run."""
        self._apply(ends=(RunEnd(run, self.clock.now, reason, text),))  # type: ignore[arg-type]

    def _apply(self, **fields: object) -> None:
        self.store.apply(0, Batch(**fields), self.clock.now)  # type: ignore[arg-type]
        if self.commits:
            self.store.commit(self.clock.now)

    def scene(self, **view: object) -> Scene:
        """Return the scene of a view."""
        looked = View(**view)  # type: ignore[arg-type]
        return Scene(self.store, looked, self.clock.now, selected(self.store, looked))

    def app(self, theme: str = "ink") -> LlmtopApp:
        """Return the app on this world, whose clock stands still."""
        return LlmtopApp(lambda: Engine(self.store, [], self.clock), theme=theme)


def training(world: World, name: str = "gpt-small", seed: int = 1, steps: int = STEPS) -> str:
    """Add a training run with a spike in loss and gradient norm, evaluations and checkpoints."""
    rng = np.random.default_rng(seed)
    at = np.arange(steps)
    run = world.run(name, host="node-07", pid=4123, total_steps=5000, tags={"tokens_per_step": 512})
    spike = np.where((at > 1200) & (at < 1215), 1.2, 0.0)
    loss = 2.1 + 7 * np.exp(-at / 150) + rng.normal(0, 0.06, steps) + spike
    world.log(run, "train/loss", loss)
    world.log(run, "accuracy", 0.7 * (1 - np.exp(-at / 400)) + rng.normal(0, 0.01, steps))
    world.log(run, "tokens_per_second", 412_000 + rng.normal(0, 6000, steps))
    world.log(run, "grad_norm", 0.8 + rng.random(steps) * 0.3 + spike * 2)
    world.log(run, "lr", 3e-4 * np.minimum(1, at / 200))
    world.log(run, "mfu", 0.46 + rng.normal(0, 0.005, steps))
    every = at[::100]
    world.log(run, "eval/loss", loss[::100] + 0.1, steps=every, times=T0 + every * SECONDS_A_STEP)
    world.event(run, 1000, "checkpoint 1000 saved")
    world.event(run, 1207, "loss spike", "critical")
    return run


def serving(world: World, name: str = "llama-8b", seed: int = 2, n: int = 3000) -> str:
    """Add a server with latencies, queue and token counts."""
    rng = np.random.default_rng(seed)
    times = T0 + np.arange(n) * 0.3
    run = world.run(name, host="node-07", pid=5120, phase="serve")
    for metric, scale in (("ttft_seconds", 0.18), ("itl_seconds", 0.02), ("e2e_seconds", 2.0)):
        values = scale * rng.lognormal(0, 0.4, n)
        world.log(run, metric, values, times=times, kind="distribution")
    tokens = rng.integers(20, 200, n)
    world.log(run, "generated_tokens", tokens, times=times, kind="counter")
    nothing = np.full(n, -1)
    running, waiting = rng.integers(0, 9, n), rng.integers(0, 3, n)
    world.log(run, "requests_running", running, times=times, steps=nothing)
    world.log(run, "requests_waiting", waiting, times=times, steps=nothing)
    world.log(run, "kv_cache_usage", 0.6 + rng.random(n) * 0.2, times=times, steps=nothing)
    return run
