"""What one call costs the process that makes it, in a tight loop."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.callers import CALLERS, ROUNDS
from tests.bench.children import answer, rendezvous
from tests.bench.table import Row, above, missing

TIMES = {"tensorboard": 20.0, "wandb": 200.0}
"""How many times cheaper than these a call of log() should be."""
LIMITS = {"log": 1000.0, "token": 3000.0}
"""Nanoseconds."""


def log() -> Iterator[Row]:
    """Yield nanoseconds a call, the least of ROUNDS rounds, each logger in its own process."""
    ours = 0.0
    for name, (what, _) in CALLERS.items():
        with rendezvous() as env:
            said = answer("callers", name, env=env)
        if said in ("", "missing"):
            yield missing(what) if said else Row(what, "failed here, skipped")
            continue
        cost = float(said)
        text = f"{cost / 1e3:,.2f} µs" if cost >= 100 else f"{cost:,.0f} ns"
        if name == "log":
            ours, what = cost, f"{what} (least of {ROUNDS} rounds)"
        limit = LIMITS.get(name)
        yield Row(what, text, f"< {limit / 1e3:g} µs", cost < limit) if limit else Row(what, text)
        if name in TIMES and ours:
            yield above(f"  times a call of llmtop's log() ({ours:,.0f} ns)", cost / ours,
                        TIMES[name], "x", 0)
