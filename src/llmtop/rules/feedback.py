"""The way back: what alerts and people ask of runs, sent to where the runs listen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from llmtop.rules.alert import Alert
from llmtop.rules.entry import alert_entry
from llmtop.store import Run, Store

NEWS_SECONDS = 60.0
"""An alert that fired longer ago stands in the history of a run that is read only now."""


@runtime_checkable
class Talking(Protocol):
    """A source that can answer the processes it hears."""

    def send(self, session: str, message: Mapping[str, Any]) -> bool:
        """Queue a message for the session of this key, from any thread; False if it is not here."""
        ...


class Feedback:
    """Sends messages to the processes of a run."""

    def __init__(self, sources: Sequence[object]) -> None:
        self._sources = [source for source in sources if isinstance(source, Talking)]

    def stop(self, run: Run, reason: str) -> bool:
        """Ask every process of a run that allows it to stop; tell whether there was one."""
        asked = [
            self._send(session.key, {"action": "stop", "reason": reason})
            for session in run.sessions.values() if session.info.stoppable and not session.ended
        ]  # fmt: skip
        return any(asked)

    def tell(self, store: Store, alerts: Sequence[Alert], now: float) -> None:
        """Tell runs their alerts, and ask those to stop whose rule says so, if these are news."""
        for alert in alerts:
            at = alert.resolved_at if alert.state == "resolved" else alert.fired_at
            run = next((run for run in store.runs if run.id == alert.run), None)
            if run is None or not is_news(at, now):
                continue
            message = {"action": "alert", "alert": alert_entry(alert)}
            for session in run.sessions.values():
                if not session.ended:
                    self._send(session.key, message)
            if alert.action == "stop" and is_news(alert.fired_at, now):
                self.stop(run, f"{alert.rule}: {alert.message}")

    def _send(self, session: str, message: Mapping[str, Any]) -> bool:
        return any(source.send(session, message) for source in self._sources)


def can_stop(run: Run) -> bool:
    """Tell whether any process of a run may be asked to stop from here."""
    return any(one.info.stoppable and not one.ended for one in run.sessions.values())


def is_news(at: float | None, now: float) -> bool:
    """Tell whether what happened at a time, if it is known, is worth telling anybody now."""
    return at is None or now - at <= NEWS_SECONDS
