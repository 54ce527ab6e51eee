"""Hands alerts to sinks: never waits, never raises, forgets nothing without counting it.

Each sink has a short queue of its own, kept in order; one daemon thread serves them in turns, and
what fails is tried again later without holding up the others.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from llmtop.clock import Clock
from llmtop.delivery import terminal
from llmtop.delivery.execute import Execute
from llmtop.delivery.logfile import LogFile
from llmtop.delivery.settings import SinkSettings
from llmtop.delivery.sink import NotDelivered, Sink
from llmtop.delivery.webhook import Webhook
from llmtop.rules.alert import Alert

MAX_WAITING = 64
"""Alerts that wait for one sink: more at once is a flood that nobody reads."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt; half a minute in all bridges the restart of a server."""
MAX_TOLD = 1000
"""Alerts remembered for having been told: as many as can be active."""
BRIEF_SECONDS = 60.0
"""One that fired and was over between two looks did not last longer than this."""
CLOSE_SECONDS = 2.0
"""For what waits when the screen is left: one answer of a server far away."""

SINKS: Mapping[str, Callable[[SinkSettings, Clock], Sink]] = {
    "exec": Execute,
    "file": lambda settings, clock: LogFile(settings),
    **dict.fromkeys(("webhook", "slack", "discord"), lambda settings, clock: Webhook(settings)),
}
"""Kind -> what makes one; the others go out through the terminal."""


@dataclass(slots=True)
class _Line:
    """A sink, and what waits for it."""

    settings: SinkSettings
    sink: Sink
    waiting: deque[Alert] = field(default_factory=deque)
    attempts: int = 0
    """Of the first that waits."""
    due: float = 0.0
    """Monotonic seconds of its next attempt."""
    ailing: bool = False
    """The last one was not delivered; that was told."""


class Delivery:
    """Every sink of one monitor."""

    def __init__(
        self, sinks: Sequence[SinkSettings], clock: Clock,
        environ: Mapping[str, str] = os.environ,
    ) -> None:  # fmt: skip
        """Prepare to deliver; what will be in the way is a problem at once."""
        self._clock, self._environ = clock, environ
        self._lines = [_Line(one, SINKS[one.to](one, clock)) for one in sinks if one.to in SINKS]
        self._bells = [one for one in sinks if one.to == "bell"]
        self._notifiers = [one for one in sinks if one.to == "notify"]
        self._problems: deque[str] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = self._closed = False
        self._told: deque[tuple[str, float]] = deque(maxlen=MAX_TOLD)
        self.failed = 0
        """Alerts, counted once a sink, that were not delivered: given up or without room."""
        for line in self._lines:
            if why := line.sink.check():
                self._problems.append(f"{line.settings.name}: {why}")
        for one in list(self._notifiers):
            if why := terminal.unable(one.form, one.force, environ):
                self._problems.append(f"{one.name}: {why}")
                self._notifiers.remove(one)

    @property
    def status(self) -> str:
        """What went wrong, in a few words for the footer; "" if nothing did."""
        if not self.failed:
            return ""
        return f"{self.failed:,} alert{'s' if self.failed > 1 else ''} not delivered"

    def problems(self) -> list[str]:
        """Return what should be told and was not yet: once a sink, until it works again."""
        return [self._problems.popleft() for _ in range(len(self._problems))]

    def tell(self, alerts: Sequence[Alert], *, late: bool = False) -> str:
        """Queue alerts for the sinks that want them; return what the terminal is to be sent.

        Args:
            alerts: what fired or is over.
            late: nobody was told when they fired, so that even one that is over is told as new.
        """
        brief = frozenset(alert.key for alert in alerts if late or self._is_brief(alert))
        self._told.extend((alert.key, alert.since) for alert in alerts)
        with self._changed:
            for line in self._lines:
                for alert in _wanted(line.settings, alerts, brief):
                    if len(line.waiting) >= MAX_WAITING or self._closed:
                        self.failed += 1
                        self._complain(line, "too many alerts wait; those that follow are left out")
                    else:
                        line.waiting.append(alert)
            if any(line.waiting for line in self._lines):
                self._start()
            self._changed.notify()
        out = [terminal.notifications(some, one.form, self._environ) for one in self._notifiers
               if (some := _wanted(one, alerts, brief))]
        if any(_wanted(one, alerts, brief) for one in self._bells):
            out.append(terminal.BELL)
        return "".join(out)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait until all is delivered or given up, so long at most; count what is left."""
        deadline = self._clock.monotonic() + seconds
        with self._changed:
            while self._busy or any(line.waiting for line in self._lines):
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._closed = True
            for line in self._lines:
                if line.waiting:
                    self.failed += len(line.waiting)
                    self._complain(line, "not delivered before the end")
                    line.waiting.clear()
            self._changed.notify()

    def _is_brief(self, alert: Alert) -> bool:
        """Tell whether one that is over was never told while it was firing."""
        if alert.state != "resolved" or alert.fired_at is None or alert.resolved_at is None:
            return False
        new = (alert.key, alert.since) not in self._told
        return new and alert.resolved_at - alert.fired_at <= BRIEF_SECONDS

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="llmtop-delivery", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._problems.append(f"delivery: {error}")
            return
        self._thread = thread

    def _run(self) -> None:
        while (line := self._next()) is not None:
            alert = line.waiting[0]
            try:
                line.sink.send(alert)
                failure = None
            except NotDelivered as error:
                failure = error
            except Exception as error:  # whatever a sink dies of, the others go on
                failure = NotDelivered(f"failed: {type(error).__name__}")
            with self._changed:
                self._settle(line, failure)
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> _Line | None:
        """Wait for something that is due; None when there is nothing more to come."""
        with self._changed:
            while not self._closed:
                now = self._clock.monotonic()
                waiting = [line for line in self._lines if line.waiting]
                ready = [line for line in waiting if line.due <= now]
                if ready:
                    # Whoever has waited longest; a sink that was just served comes last.
                    line = min(ready, key=lambda one: one.due)
                    self._busy = True
                    return line
                self._changed.wait(min((line.due - now for line in waiting), default=None))
        return None

    def _settle(self, line: _Line, failure: NotDelivered | None) -> None:
        """Note how an attempt went."""
        if not line.waiting:
            return
        now = self._clock.monotonic()
        line.due = now
        if failure is not None and failure.again and line.attempts < len(PAUSES):
            line.due = now + max(PAUSES[line.attempts], failure.pause)
            line.attempts += 1
            self._complain(line, f"{failure}; trying again")
            return
        line.waiting.popleft()
        line.attempts = 0
        if failure is None:
            line.ailing = False
        else:
            self.failed += 1
            self._complain(line, str(failure))

    def _complain(self, line: _Line, why: str) -> None:
        if not line.ailing:
            line.ailing = True
            self._problems.append(f"{line.settings.name}: {why}")


def _wanted(
    settings: SinkSettings, alerts: Sequence[Alert], brief: frozenset[str]
) -> list[Alert]:
    """Return what a sink is to be told; what is over, if it asked for that or it is news."""
    return [alert for alert in alerts if settings.wants(alert.severity)
            and (alert.state == "firing" or settings.resolved or alert.key in brief)]
