"""All alerts: rules judged once a pump, what came of them, and what a person did about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llmtop.rules.alert import Alert
from llmtop.rules.changed import what_changed
from llmtop.rules.frame import Frame
from llmtop.rules.load import built_in
from llmtop.rules.rule import SEVERITIES, Rule, fill
from llmtop.rules.saved import REFRESH_SECONDS, Saved, read_saved, seen, write_saved
from llmtop.rules.states import Change, Life, advance
from llmtop.rules.targets import Place
from llmtop.rules.watching import DetectorWatch, ExpressionWatch, Round, Verdict, Watching
from llmtop.store import Run, Store
from llmtop.units import MISSING, format_value

TICK_SECONDS = 1.0
"""How often what depends on time alone is judged."""
MAX_ACTIVE = 1000
"""Alerts that are pending or firing at once: a screen shows fifty; the others are counted."""
MAX_HISTORY = 500
"""Alerts that are over and are kept: ten screens of them."""
ADOPT_SECONDS = 60.0
"""How long after the start an alert that a monitor before this one told is not told again."""


@dataclass(slots=True)
class _Kept:
    """One rule for one target."""

    life: Life
    alert: Alert


class Alerts:
    """Judges rules over a store and keeps the alerts that follow."""

    def __init__(self, rules: Sequence[Rule] | None = None, *, path: Path | None = None) -> None:
        """Judge `rules`, or the built-in ones; remember at `path`, or nowhere.

        The built-in rules are read when they are first needed.
        """
        self.problem = ""
        """Why alerts could not be remembered."""
        self.timed = True
        """When the data came about is known; if not, no silence in it means anything."""
        self.left_out = 0
        """Alerts there was no room for."""
        self._given = rules
        self._path = path
        self._watching: list[Watching] | None = None
        self._frames: dict[tuple[str, tuple[str, ...]], Frame] = {}
        self._kept: dict[str, dict[Place, _Kept]] = {}
        self._history: deque[Alert] = deque(maxlen=MAX_HISTORY)
        self._before: dict[str, Saved] = {}
        """What the monitor before this one told."""
        self._saved: dict[str, Saved] = {}
        self._unsaved, self._refresh_at = False, 0.0
        self._moments: dict[int, float] = {}
        self._followed: set[int] = set()
        self._seen: set[int] = set()
        self._shape: tuple[object, ...] = ()
        self._began = 0.0
        self._ticked = float("-inf")

    @property
    def rules(self) -> Sequence[Rule]:
        """Every rule, those switched off too."""
        return built_in() if self._given is None else self._given

    @property
    def active(self) -> list[Alert]:
        """Alerts that are firing: worst first, then newest."""
        return self._in_state("firing")

    @property
    def pending(self) -> list[Alert]:
        """Alerts whose condition holds, but not for long enough yet."""
        return self._in_state("pending")

    @property
    def history(self) -> list[Alert]:
        """Alerts that are over, newest first."""
        return list(reversed(self._history))

    def state(self, rule: str) -> str:
        """Return what a rule is at: off, no data, ok, pending or firing."""
        states = {one.alert.state for one in self._kept.get(rule, {}).values()}
        if states:
            return "firing" if "firing" in states else "pending"
        for watch in self._watching or ():
            if watch.rule.name == rule:
                return "ok" if watch.known else "no data"
        return "off" if any(one.name == rule and not one.enabled for one in self.rules) else (
            "no data")

    def acknowledge(self, key: str) -> None:
        """Note that somebody has seen an active alert: it is not told any more."""
        self._change(key, acknowledged=True)

    def silence(self, key: str, seconds: float) -> None:
        """Do not tell an active alert for some time."""
        self._change(key, silenced_until=self._ticked + max(seconds, 0.0))

    def judge(self, store: Store, changed: frozenset[int], now: float) -> tuple[Alert, ...]:
        """Judge what has to be judged; return the alerts that fired or were resolved and are told.

        One that fired and was over within the same pump is returned as resolved.
        """
        if self._watching is None:
            self._begin(store, now)
        assert self._watching is not None
        around = self._round(store, changed, now)
        if around.renewed or around.tick or changed:
            for frame in self._frames.values():
                if around.renewed:
                    frame.renew()
                frame.begin(around.moments)
        news: dict[str, Alert] = {}
        for watch in self._watching:
            kept = self._kept.get(watch.rule.name, {})
            for verdict in watch.verdicts(around, kept.keys()):
                self._advance(watch.rule, verdict, news)
        if around.tick:
            self.save()
        return tuple(news.values())

    def save(self, *, leaving: bool = False) -> None:
        """Write what is to be remembered, if it changed or is to be told as seen at the end."""
        firing = {one.key for one in self.active} & self._saved.keys()
        due = firing and (leaving or self._ticked >= self._refresh_at)
        if self._path is None or not (self._unsaved or due):
            return
        self._unsaved, self._refresh_at = False, self._ticked + REFRESH_SECONDS
        self._saved |= seen(self._saved, firing, self._ticked)
        self.problem = write_saved(self._path, self._saved)

    def _begin(self, store: Store, now: float) -> None:
        self._began = now
        self._before = read_saved(self._path, now) if self._path else {}
        self._saved = dict(self._before)
        self._watching = []
        for rule in self.rules:
            if not rule.enabled:
                continue
            if rule.when is None:
                self._watching.append(DetectorWatch(rule))
                continue
            key = rule.per, rule.phases
            frame = self._frames.setdefault(key, Frame(store, rule.per, rule.phases))
            self._watching.append(ExpressionWatch(rule, rule.when, frame))

    def _round(self, store: Store, changed: frozenset[int], now: float) -> Round:
        for run in store.runs:
            if run.state == "live" and self.timed:
                self._followed.add(run.id)
            followed = run.id in self._followed and run.state in ("live", "stale")
            moment = now if followed else run.last_seen
            self._moments[run.id] = max(self._moments.get(run.id, moment), moment)
        shape = (len(store.series), *((run.attempt, run.phase) for run in store.runs))
        fresh = changed - self._seen
        renewed = bool(fresh) or shape != self._shape
        self._seen |= fresh
        self._shape = shape
        dirty = np.zeros(len(store.series), np.bool_)
        dirty[list(changed)] = True
        tick = not 0 <= now - self._ticked < TICK_SECONDS
        self._ticked = now if tick else self._ticked
        grown = {store.series[number].run.id: store.series[number].run for number in changed}
        return Round(store, dirty, tuple(grown.values()), self._moments,
                     frozenset(self._followed), tick, renewed)

    def _advance(self, rule: Rule, verdict: Verdict, news: dict[str, Alert]) -> None:
        places = self._kept.setdefault(rule.name, {})
        kept = places.get(verdict.place)
        if kept is None:
            if not verdict.holds:
                return
            if sum(map(len, self._kept.values())) >= MAX_ACTIVE:
                self.left_out += 1
                return
            kept = places[verdict.place] = _Kept(Life(), _alert(rule, verdict))
        adopted = kept.life.idle and bool(verdict.holds) and self._adopt(kept, verdict)
        life = kept.life
        change: Change = "fired" if adopted else advance(
            life, rule, verdict.holds, verdict.clears, max(verdict.time, life.last_known))
        alert = self._take(rule, kept, verdict, change)
        if alert is not None and self._is_told(alert):
            news[alert.key] = alert
        if life.idle and verdict.time >= life.rests_until:
            del places[verdict.place]

    def _take(
        self, rule: Rule, kept: _Kept, verdict: Verdict, change: Change
    ) -> Alert | None:
        """Bring an alert in line with its life; return it if it fired or is over."""
        life = kept.life
        if change == "fired":
            begun = _alert(rule, verdict)
            moved: tuple[tuple[str, float], ...] = ()
            if verdict.run.phase == "train" and rule.reads:
                moved = what_changed(verdict.run, rule.reads, verdict.step, verdict.time,
                                     verdict.rank)
            kept.alert = replace(
                begun, state="firing", since=life.since, fired_at=life.fired_at,
                what_changed=moved, acknowledged=kept.alert.acknowledged,
                silenced_until=kept.alert.silenced_until,
            )  # fmt: skip
        elif change == "resolved":
            kept.alert = replace(kept.alert, state="resolved", resolved_at=life.last_known
                                 if not life.no_data else verdict.time, no_data=life.no_data)
            self._history.append(kept.alert)
        elif change == "pending":
            kept.alert = replace(_alert(rule, verdict), since=life.since)
        elif kept.alert.state == "firing" and verdict.holds and verdict.value is not None:
            kept.alert = replace(kept.alert, value=verdict.value)
        if change in ("fired", "resolved"):
            self._remember(kept.alert)
            return kept.alert
        return None

    def _adopt(self, kept: _Kept, verdict: Verdict) -> bool:
        """Go on with an alert that fired under the monitor before this one, if it is the same."""
        saved = self._before.get(kept.alert.key)
        if (
            saved is None or saved.resolved_at is not None or not self._fresh
            or not verdict.run.started <= saved.since <= verdict.time
        ):  # fmt: skip
            return False
        kept.life = Life("firing", saved.since, saved.fired_at, verdict.time, verdict.time)
        kept.alert = replace(kept.alert, acknowledged=saved.acknowledged,
                             silenced_until=saved.silenced_until)
        return True

    @property
    def _fresh(self) -> bool:
        return self._ticked - self._began <= ADOPT_SECONDS

    def _is_told(self, alert: Alert) -> bool:
        before = self._before.get(alert.key)
        if before is not None and self._fresh:
            told = max(before.fired_at, before.resolved_at or 0.0)
            if (alert.resolved_at or alert.fired_at or 0.0) <= told:
                return False
        return not alert.acknowledged and self._ticked >= alert.silenced_until

    def _remember(self, alert: Alert) -> None:
        if self._path is None:
            return
        self._saved[alert.key] = Saved(
            alert.since, alert.fired_at or alert.since, alert.resolved_at, alert.acknowledged,
            alert.silenced_until,
        )  # fmt: skip
        self._unsaved = True

    def _change(self, key: str, **changes: bool | float) -> None:
        for places in self._kept.values():
            for kept in places.values():
                if kept.alert.key == key:
                    kept.alert = replace(kept.alert, **changes)  # type: ignore[arg-type]  # by name
                    self._remember(kept.alert)

    def _in_state(self, state: str) -> list[Alert]:
        found = [kept.alert for places in self._kept.values() for kept in places.values()
                 if kept.alert.state == state]
        return sorted(found, key=lambda one: (-SEVERITIES.index(one.severity), -one.since))


def key_of(rule: str, run: Run, rank: int | None, device: str) -> str:
    """Return what an alert is known by: readable, and the same after a restart."""
    place = "" if rank is None else f" rank {rank}"
    host = f"@{run.host}" if run.host else ""
    return f"{rule}: {run.name}{host}{place}{f' {device}' if device else ''}"


def _alert(rule: Rule, verdict: Verdict) -> Alert:
    """Return an alert that begins with a verdict."""
    run = verdict.run
    rank = MISSING if verdict.rank is None else str(verdict.rank)
    places = {
        "run": run.name, "rank": rank, "engine": rank, "device": verdict.device or rank,
        "value": format_value(verdict.value, verdict.unit), "threshold": rule.condition,
        "step": f"{verdict.step:,}" if verdict.step >= 0 else MISSING, "rule": rule.name,
        "detail": verdict.detail,
    }  # fmt: skip
    return Alert(
        key=key_of(rule.name, run, verdict.rank, verdict.device), rule=rule.name,
        severity=rule.severity, state="pending", run=run.id, run_name=run.name,
        since=verdict.time, value=verdict.value, unit=verdict.unit, threshold=rule.condition,
        message=fill(rule.message, places).strip(" :;,"), hint=fill(rule.hint, places),
        rank=verdict.rank, device=verdict.device, step=verdict.step, action=rule.action,
        source=rule.source,
    )  # fmt: skip
