"""A store with a few runs in it, as sources would have filled it, for the tests of plain text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmtop.samples import Batch, RunEnd, RunInfo, Samples, SeriesInfo, SeriesKind
from llmtop.store import Store

T0 = 1_700_000_000.0


def filled() -> Store:
    return Store(memory_bytes=32 << 20)


def introduce(store: Store, key: str, **about: object) -> None:
    """Open a session, at T0 and on node-07 unless `about` says otherwise."""
    info = {"name": key, "host": "node-07", "pid": 41, "started": T0, **about}
    store.apply(0, Batch(runs=(RunInfo(key, **info),), alive=(key,)), T0)  # type: ignore[arg-type]


def log(
    store: Store, session: str, name: str, values: Sequence[float], *,
    kind: SeriesKind = "gauge", unit: str = "", steps: bool = True, first_step: int = 0,
    every: float = 1.0,
) -> None:  # fmt: skip
    """Log one value a step, `every` seconds from T0 on, and store them."""
    key = len(store.series)
    n = len(values)
    samples = Samples(
        np.full(n, key, np.uint32), T0 + every * np.arange(n),
        first_step + np.arange(n) if steps else np.full(n, -1), np.array(values, np.float64),
    )  # fmt: skip
    info = SeriesInfo(key, session, name, kind, unit)
    now = T0 + every * n
    store.apply(0, Batch(series=(info,), samples=samples, alive=(session,)), now)
    store.commit(now, settle=True)


def end(store: Store, session: str, reason: str, after: float, text: str = "") -> None:
    over = RunEnd(session, T0 + after, reason, text)  # type: ignore[arg-type]
    store.apply(0, Batch(ends=(over,)), T0 + after)
    store.tick(T0 + after)
