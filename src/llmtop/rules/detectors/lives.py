"""What becomes of a run as a whole: it falls silent, ends badly, begins again."""

from __future__ import annotations

from itertools import pairwise

from llmtop.rules.detectors.base import Finding, Look
from llmtop.rules.detectors.settings import Silent

LOGS = ("file", "pipe", "command")
"""Sources that say nothing of a process that has nothing to say: silence there is no sign."""


class SilentDetector:
    """Tells when a publisher or an endpoint is not heard any more."""

    def __init__(self, settings: Silent) -> None:
        self._settings = settings
        self._active: set[int] = set()

    def look(self, look: Look) -> list[Finding]:
        """Compare each run's last sign of life with now."""
        found = []
        for run in look.runs:
            moment = look.moments[run.id]
            silent = moment - run.last_seen
            active = (
                run.id in look.followed and run.state == "stale" and run.source not in LOGS
                and silent > self._settings.least
            )
            if active != (run.id in self._active):
                (self._active.add if active else self._active.discard)(run.id)
                found.append(Finding(run, active, moment, step=run.step, value=silent,
                                     unit="seconds"))
        return found


class EndedDetector:
    """Tells when a run failed or died."""

    def __init__(self) -> None:
        self._active: set[int] = set()

    def look(self, look: Look) -> list[Finding]:
        """Look at the states of runs."""
        found = []
        for run in look.runs:
            active = run.state in ("failed", "died")
            if active != (run.id in self._active):
                (self._active.add if active else self._active.discard)(run.id)
                found.append(Finding(run, active, run.last_seen, step=run.step,
                                     detail=run.reason or run.state))
        return found


class RestartedDetector:
    """Tells when an attempt of a run follows another that had not come to its end."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def look(self, look: Look) -> list[Finding]:
        """Count the attempts of runs."""
        found = []
        for run in look.runs:
            known = max(self._known.get(run.id, 0), 1)
            if run.attempt == self._known.get(run.id):
                continue
            self._known[run.id] = run.attempt
            for before, attempt in pairwise(run.attempts[known - 1 :]):
                if before.state == "finished":
                    # Whoever runs a script once more has lost nothing.
                    continue
                detail = f"attempt {attempt.number}"
                if attempt.first_step >= 0:
                    detail += f", from step {attempt.first_step:,}"
                for active in (True, False):
                    found.append(Finding(
                        run, active, attempt.started, step=attempt.first_step,
                        value=float(attempt.number), detail=detail,
                    ))  # fmt: skip
        return found
