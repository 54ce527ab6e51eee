"""What the app does about alerts, beside drawing them: toasts, delivery, asking a run to stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.notifications import SeverityLevel

from llmtop.rules.feedback import can_stop, is_news
from llmtop.ui.panels.footer import News

if TYPE_CHECKING:
    from llmtop.rules.alert import Alert
    from llmtop.ui.app import LlmtopApp

MOST_TOASTS = 3
"""Toasts at a time: more would cover what they are about."""
TOAST_SECONDS = 10.0
BRIEF_SECONDS = 0.4
"""Alerts are judged once a second: what was over sooner came and went between two looks."""
TOASTS: dict[str, SeverityLevel] = {
    "critical": "error", "warning": "warning", "info": "information",
}  # fmt: skip
"""Severity of an alert -> Textual's."""
HOW_TO_ALLOW = (
    "a run allows it by llmtop.init(..., stoppable=True) and looks at run.should_stop; "
    "through llmtop serve it cannot be asked"
)


def tell(app: LlmtopApp, alerts: Sequence[Alert], now: float) -> None:
    """Show what has just fired in front of whatever is looked at, and hand it on."""
    # What happened in the history of a run that is read only now stands in the list.
    fresh = [alert for alert in alerts
             if is_news(alert.resolved_at if alert.state == "resolved" else alert.fired_at, now)]
    fired = [alert for alert in fresh if alert.state == "firing" or _is_brief(alert)]
    for alert in fired[:MOST_TOASTS]:
        app.notify(alert.hint, title=alert.message, severity=TOASTS[alert.severity],
                   timeout=TOAST_SECONDS, markup=False)
    if len(fired) > MOST_TOASTS:
        app.notify("5 shows them all", title=f"{len(fired) - MOST_TOASTS} more alerts",
                   severity="warning", timeout=TOAST_SECONDS)
    _deliver(app, fresh)


def _is_brief(alert: Alert) -> bool:
    """Tell whether an alert was over before it could be told as firing."""
    ended, fired = alert.resolved_at, alert.fired_at
    return ended is not None and fired is not None and ended - fired < BRIEF_SECONDS


def news(app: LlmtopApp) -> News:
    """Return what the footer has to say of sources, and of alerts that were not delivered."""
    states = [] if app.engine is None else app.engine.source_states
    lost = (f"{s.name}: {s.reason}" for s in states if s.state in ("lost", "retrying"))
    undelivered = "" if app.delivery is None else app.delivery.status
    return News(next(lost, ""), undelivered or next((s.status for s in states if s.status), ""))


def _deliver(app: LlmtopApp, alerts: Sequence[Alert]) -> None:
    """Hand alerts to the sinks; say what is wrong with those, once each."""
    delivery = app.delivery
    if delivery is None:
        return
    text = delivery.tell(alerts) if alerts else ""
    if text and app._driver is not None:
        # In between two frames, through the one writer there is.
        app._driver.write(text)
    for problem in delivery.problems():
        app.notify(problem, title="delivery of alerts", severity="warning",
                   timeout=TOAST_SECONDS, markup=False)


def ask_to_stop(app: LlmtopApp) -> None:
    """Ask the selected run to stop, once that is confirmed."""
    scene = app.scene()
    engine, run = app.engine, None if scene is None else scene.run
    if engine is None or run is None:
        app.notify("no run is selected", timeout=TOAST_SECONDS)
        return
    if not can_stop(run):
        over = "" if run.state in ("live", "stale") else "; it is over"
        app.notify(HOW_TO_ALLOW, title=f"{run.name} cannot be asked to stop{over}",
                   severity="warning", timeout=TOAST_SECONDS, markup=False)
        return
    from llmtop.ui.confirm import Confirm

    def answer(yes: bool | None) -> None:
        if yes:
            asked = engine.request_stop(run.id, "asked by a person at llmtop")
            app.notify("it stops when it next looks" if asked else "it is over already",
                       title=f"{run.name} is asked to stop" if asked else run.name,
                       timeout=TOAST_SECONDS, markup=False)
        app.draw(force=True)

    app.push_screen(Confirm(f"ask {run.name} to stop?"), answer)
