"""The life of one alert: inactive, pending, firing, resolved. Pure; its time is the data's.

True for as long as `for` says makes it fire; false must hold for `keep_firing_for` to end it, and a
clear condition, where there is one, must be met besides; after its end it rests for `cooldown`.
What is unknown changes nothing for NO_DATA_SECONDS; then there is nothing left to hold on to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmtop.rules.rule import Rule

NO_DATA_SECONDS = 300.0
"""How long a state outlives its data: Prometheus looks back as long."""

Phase = Literal["inactive", "pending", "firing"]
Change = Literal["", "pending", "fired", "resolved", "dropped"]


@dataclass(slots=True)
class Life:
    """Where one rule stands for one target. Times are unix seconds of the data."""

    phase: Phase = "inactive"
    since: float = 0.0
    """When it began to hold."""
    fired_at: float = 0.0
    last_true: float = 0.0
    last_known: float = 0.0
    rests_until: float = float("-inf")
    no_data: bool = False

    @property
    def idle(self) -> bool:
        """Whether nothing is kept but perhaps a rest."""
        return self.phase == "inactive"


def advance(life: Life, rule: Rule, holds: bool | None, clears: bool | None, now: float) -> Change:
    """Take in what is the case at `now`, and return what became of it.

    Args:
        life: changed in place.
        rule: its times.
        holds: whether the condition holds; None: it is not known.
        clears: whether the clear condition holds; without one, that `holds` is false.
        now: unix seconds of the data; it never goes back.
    """
    if holds is None:
        return _unknown(life, rule, now)
    life.last_known = now
    life.no_data = False
    if holds:
        life.last_true = now
        if life.phase == "inactive":
            if now < life.rests_until:
                return ""
            life.phase, life.since = "pending", now
            return "fired" if _ripe(life, rule, now) else "pending"
        return "fired" if life.phase == "pending" and _ripe(life, rule, now) else ""
    if life.phase == "pending":
        life.phase = "inactive"
        return "dropped"
    if life.phase == "firing":
        over = clears if rule.clear is not None else True
        if over and now - life.last_true >= rule.keep:
            return _end(life, rule, now)
    return ""


def _ripe(life: Life, rule: Rule, now: float) -> bool:
    if now - life.since < rule.wait:
        return False
    life.phase, life.fired_at = "firing", now
    return True


def _unknown(life: Life, rule: Rule, now: float) -> Change:
    if life.phase == "inactive" or now - life.last_known < NO_DATA_SECONDS:
        return ""
    life.no_data = True
    if life.phase == "pending":
        life.phase = "inactive"
        return "dropped"
    return _end(life, rule, now)


def _end(life: Life, rule: Rule, now: float) -> Change:
    life.phase, life.rests_until = "inactive", now + rule.cooldown
    return "resolved"
