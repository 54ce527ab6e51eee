"""An alert as others see it: what fired, of what, since when, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmtop.rules.rule import Action, Severity

AlertState = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule that held, or holds, for one run, rank, device or engine."""

    key: str
    """The same as long as it is the same rule of the same thing, over restarts too."""
    rule: str
    severity: Severity
    state: AlertState
    run: int
    """Id of the run in the store."""
    run_name: str
    since: float
    """Unix seconds of the data when it began to hold."""
    value: float | None = None
    """What was compared, as of now or of its end."""
    unit: str = ""
    """Of the value, as `format_value` takes it."""
    threshold: str = ""
    """The condition, in words of the rule."""
    message: str = ""
    hint: str = ""
    rank: int | None = None
    device: str = ""
    step: int = -1
    """Where it began, -1 = no step."""
    fired_at: float | None = None
    resolved_at: float | None = None
    no_data: bool = False
    """It ended because there was nothing to judge any more."""
    acknowledged: bool = False
    silenced_until: float = 0.0
    """Unix seconds; it is not told before."""
    action: Action = ""
    what_changed: tuple[tuple[str, float], ...] = ()
    """Names of the series that moved most then, with their robust z-scores."""
    source: str = ""
    """Where the rule stands."""

    @property
    def where(self) -> str:
        """The run, with rank or device."""
        parts = [self.run_name]
        if self.rank is not None:
            parts.append(f"rank {self.rank}")
        if self.device:
            parts.append(self.device)
        return " ".join(parts)
