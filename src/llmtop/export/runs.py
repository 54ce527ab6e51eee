"""Runs on the page: what they are at, and of every rank the newest of each series."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from llmtop.export.families import Families
from llmtop.prometheus import device, expose
from llmtop.rules.machine import FRESH_SECONDS, number
from llmtop.sources.scraping.engines import LLMTOP
from llmtop.store import Run, Series, State, Store, counted

GONE_SECONDS = 300.0
"""A run or rank that is over or silent so long leaves the page: Prometheus, too, lets a series
that is not renewed end after five minutes, and until then somebody surely saw its last value."""
STATES: tuple[State, ...] = ("live", "stale", "finished", "failed", "died")
SERIES_A_PIECE = 64
"""Series between two looks at the time: 1 ms of them."""
SEEN_A_PIECE = 1024
"""Series that are only sorted, between two looks at the time."""

_SECONDS = tuple(m * 10.0**e for e in range(-4, 3) for m in (1.0, 2.5, 5.0))
_RATIO = tuple(n / 20 for n in range(1, 21))
_ANY = tuple(m * 10.0**e for e in range(-3, 7) for m in (1.0, 2.0, 5.0))
BOUNDS = {
    unit: np.array([float(f"{bound:.3g}") for bound in bounds])
    for unit, bounds in {"seconds": _SECONDS, "ratio": _RATIO, "": _ANY}.items()
}
"""Upper bounds of histograms by unit, "" for any other. They never change, as a rate over buckets
needs it: seconds from a fast token to a slow request, 0.1 ms to 500 s."""


class Whole(NamedTuple):
    """A number about a run as a whole."""

    kind: str
    name: str
    text: str
    unit: str
    read: Callable[[Run], float | None]
    """None where it is not known."""


def _step(run: Run) -> float | None:
    return run.step if run.step >= 0 else None


WHOLE = (
    Whole("gauge", "llmtop_run_step", "Largest step of the current attempt.", "", _step),
    Whole("gauge", "llmtop_run_planned_steps", "Steps the run is to have.", "",
          lambda run: run.total_steps),
    Whole("gauge", "llmtop_run_tokens_per_step", "Tokens of one step, of all ranks.", "",
          lambda run: number(run.tags.get("tokens_per_step"))),
    Whole("gauge", "llmtop_run_started_timestamp_seconds", "When it began, in unix time.",
          "seconds", lambda run: run.started or None),
    Whole("gauge", "llmtop_run_seen_timestamp_seconds", "When it was last heard from.",
          "seconds", lambda run: run.last_seen),
    Whole("gauge", "llmtop_run_ranks", "Ranks that were seen.", "", lambda run: len(run.ranks)),
    Whole("gauge", "llmtop_run_world_size", "Ranks it is to have.", "",
          lambda run: run.world_size),
    Whole("counter", "llmtop_run_restarts", "Attempts after the first.", "",
          lambda run: run.restarts),
)  # fmt: skip


def shown(store: Store, now: float) -> list[Run]:
    """Return the runs that are on the page, those heard from last first.

    What was read from a page of llmtop's own is not told again, or two that read each other would
    tell each other's runs for ever.
    """
    found = [
        run for run in store.runs
        if (run.state == "live" or now - run.last_seen <= GONE_SECONDS)
        and run.tags.get("engine") != LLMTOP
    ]  # fmt: skip
    return sorted(found, key=lambda run: (run.state != "live", -run.last_seen))


def add_runs(families: Families, runs: list[Run]) -> None:
    """Add what is to be said of runs as a whole."""
    for run in runs:
        if run.is_host:
            continue
        labels = {"run": run.name, "phase": run.phase}
        families.add("gauge", "llmtop_run_info", "What a run is; its value is 1.", 1.0, {
            **labels, "host": run.host, "source": run.source,
            "engine": str(run.tags.get("engine", "")),
        })  # fmt: skip
        for state in STATES:
            families.add(
                "gauge", "llmtop_run_state", "1 for the state that a run is in, 0 for the others.",
                float(run.state == state), {**labels, "state": state},
            )  # fmt: skip
        for one in WHOLE:
            value = one.read(run)
            if value is not None:
                families.add(one.kind, one.name, one.text, float(value), dict(labels), one.unit)


def add_ranks(families: Families, runs: list[Run], now: float) -> Iterator[None]:
    """Add what the ranks of distributed runs are at; yield between pieces."""
    for run in runs:
        if len(run.ranks) < 2:
            continue
        for at, (place, rank) in enumerate(list(run.ranks.items())):
            if at % SERIES_A_PIECE == 0:
                yield
            if rank.state != "live" and now - rank.last_seen > GONE_SECONDS:
                continue
            labels = {"run": run.name, "phase": run.phase, "host": rank.host or run.host,
                      "rank": str(place)}  # fmt: skip
            families.add("gauge", "llmtop_rank_up", "1 for a rank that is live.",
                         float(rank.state == "live"), dict(labels))  # fmt: skip
            if rank.step >= 0:
                families.add("gauge", "llmtop_rank_step", "Largest step of a rank's attempt.",
                             float(rank.step), labels)  # fmt: skip


def add_series(families: Families, runs: list[Run], now: float) -> Iterator[None]:
    """Add the newest of every series, rank by rank; yield between pieces.

    Where there is no room for all, every run has its lowest ranks on the page.
    """
    ranks: dict[int, list[Series]] = {}
    for run in runs:
        newest: dict[tuple[str, int | None], Series] = {}
        for at, series in enumerate(run.series[:]):
            known = newest.get((series.name, series.rank))
            if known is None or known.attempt <= series.attempt:
                newest[series.name, series.rank] = series
            if at % SEEN_A_PIECE == 0:
                yield
        for at, series in enumerate(newest.values()):
            ranks.setdefault(series.rank or 0, []).append(series)
            if at % SEEN_A_PIECE == 0:
                yield
    for rank in sorted(ranks):
        for at, series in enumerate(ranks[rank]):
            _add(families, series, now)
            if series.kind != "gauge" or at % SERIES_A_PIECE == 0:
                yield


def _add(families: Families, series: Series, now: float) -> None:
    run, last = series.run, series.last
    rank = run.ranks.get(series.rank or 0)
    if not series.n:
        return
    if rank is not None and rank.state != "live" and now - rank.last_seen > GONE_SECONDS:
        return
    if run.is_host and (last is None or now - last.time > FRESH_SECONDS):
        return
    labels, name = device(series.name)
    known = expose(name, series.unit)
    if run.is_host:
        labels["host"] = run.name
    else:
        host = rank.host if rank is not None else ""
        labels |= {"run": run.name, "phase": run.phase, "host": host or run.host}
        if series.rank is not None:
            labels["rank"] = str(series.rank)
    if series.kind == "distribution":
        edges = BOUNDS.get(known.unit, BOUNDS[""]) / known.factor
        bounds, counts = counted(series, edges)
        families.histogram(
            known.family, f"{known.help}: a distribution since the start.",
            [float(f"{bound * known.factor:.6g}") for bound in bounds.tolist()], counts.tolist(),
            series.sum * known.factor, labels, known.unit, series.name,
        )  # fmt: skip
    elif series.kind == "counter":
        families.add("counter", known.family, f"{known.help}: in all since the start.",
                     series.sum * known.factor, labels, known.unit, series.name)  # fmt: skip
    elif last is not None:
        families.add("gauge", known.family, f"{known.help}: the newest value.",
                     last.value * known.factor, labels, known.unit, series.name)  # fmt: skip
