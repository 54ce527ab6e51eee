"""A finished log lived through again at full speed: when each rule would have fired.

All points are put in order of their time and fed in small slices, with the data's time as the time.
In pauses rules are judged too, at growing distances, because silence is what some of them wait for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from llmtop.rules.alert import Alert
from llmtop.rules.alerts import Alerts
from llmtop.rules.derive import Derivation
from llmtop.samples import Batch, Event, RunEnd, Samples
from llmtop.sources import Source
from llmtop.store import Store

MAX_SLICES = 4000
"""Slices of one log: a few seconds' work; of longer logs, a slice holds several records."""
PAUSES = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
"""Seconds into a pause at which rules are judged."""
MAX_SAMPLES = 20_000_000
"""Samples read of one log: 600 MB; what is behind them is not judged."""


def replay(
    store: Store, alerts: Alerts, sources: Sequence[Source], *, slices: int = MAX_SLICES
) -> list[Alert]:
    """Live through what sources hold now; return all that fired, in order, as it was at the end.

    Args:
        store: an empty one.
        alerts: the rules, not used yet.
        sources: finished logs; of one that goes on, what it holds is taken.
        slices: pieces each is fed in, at most.
    """
    found: dict[tuple[str, float, int], Alert] = {}
    for number, source in enumerate(sources):
        for alert in _live(store, alerts, number, _read(source), slices):
            if alert.fired_at is not None:
                found[alert.key, alert.since, alert.step] = alert
    now = {(one.key, one.since, one.step): one for one in alerts.active}
    return [now.get(key, one) for key, one in found.items()]


def _read(source: Source) -> list[Batch]:
    """Return what a source holds at present."""
    batches, samples = [], 0
    for batch in source.batches(threading.Event()):
        batches.append(batch)
        samples += len(batch.samples) if batch.samples is not None else 0
        if batch.caught_up or samples > MAX_SAMPLES:
            break
    return batches


def _live(
    store: Store, alerts: Alerts, number: int, batches: Sequence[Batch], most: int
) -> Iterator[Alert]:
    """Feed batches slice by slice; yield what is told on the way."""
    derivation = Derivation()
    events = sorted((one for batch in batches for one in batch.events), key=_time)
    ends = sorted((one for batch in batches for one in batch.ends), key=_time)
    parts = [batch.samples for batch in batches if batch.samples is not None]
    slices = list(_slices(parts, most))
    times = [float(part.time.min()) for part in slices[:1]]
    times += [one.time for one in events[:1]] + [one.time for one in ends[:1]]
    start = min(times, default=0.0)
    for batch in batches:
        kept = replace(batch, samples=None, events=(), ends=(), alive=(), caught_up=False)
        store.apply(number, kept, start)
    before = start
    # Where some lines have no time, a pause may be only between what has one and what has none.
    alerts.timed = all(run.tags.get("times") != "arrival" for run in store.runs)
    for part in slices:
        now = max(float(part.time.max()), before)
        for pause in PAUSES:
            if alerts.timed and pause < now - before:
                yield from _judge(store, alerts, derivation, before + pause)
        store.apply(number, Batch(samples=part, events=_upto(events, now)), now)
        yield from _judge(store, alerts, derivation, now)
        before = now
    rest = Batch(events=tuple(events), ends=tuple(ends))
    store.apply(number, rest, before)
    yield from _judge(store, alerts, derivation, before, settle=True)


def _judge(
    store: Store, alerts: Alerts, derivation: Derivation, now: float, *, settle: bool = False
) -> tuple[Alert, ...]:
    changed = store.commit(now, settle=settle)
    changed |= derivation.derive(store, changed, now)
    return alerts.judge(store, changed, now)


def _slices(parts: Sequence[Samples], most: int) -> Iterator[Samples]:
    """Yield all samples in order of time, those of one record together."""
    if not parts:
        return
    whole = Samples(*(
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("series", "time", "step", "value")
    ))  # fmt: skip
    order = np.argsort(whole.time, kind="stable")
    time, step = whole.time[order], whole.step[order]
    fresh = (np.diff(time) > 0) | (np.diff(step) != 0)
    cuts = np.flatnonzero(fresh) + 1
    if len(cuts) > most:
        cuts = cuts[np.linspace(0, len(cuts) - 1, most).astype(np.int64)]
    for at in np.split(order, cuts):
        if len(at):
            yield Samples(whole.series[at], whole.time[at], whole.step[at], whole.value[at])


def _upto(events: list[Event], now: float) -> tuple[Event, ...]:
    """Take the events up to a time off the list."""
    count = sum(one.time <= now for one in events)
    taken = tuple(events[:count])
    del events[:count]
    return taken


def _time(one: Event | RunEnd) -> float:
    return one.time
