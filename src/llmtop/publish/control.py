"""The way back: what a monitor asks of a run, and tells it. Nothing is done unless the run asked.

    run = llmtop.init("gpt-small", stoppable=True)
    run.on_alert(lambda alert: print(alert["message"]))
    if run.should_stop:
        save_checkpoint()
        break

The publisher's thread only notes what came; the run looks when it is ready to. Messages count only
over ipc, in a directory of this user's alone, or over a connection with keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmtop.errors import WireError
from llmtop.publish.inbox import Inbox
from llmtop.wire import Frame, read_json

MAX_REASON = 500
"""Characters kept of a reason: what an event tells."""
MAX_CALLBACKS = 64
"""Functions that are told of alerts: more are a loop that registers one again and again."""

Callback = Callable[[dict[str, Any]], object]


class Control:
    """What monitors have asked of one run."""

    __slots__ = ("_callbacks", "_inbox", "reason", "stoppable", "stopped")

    def __init__(self, inbox: Inbox, stoppable: bool) -> None:
        """Tell of what happens through `inbox`; requests to stop count if `stoppable`."""
        self._inbox = inbox
        self._callbacks: tuple[Callback, ...] = ()
        self.stoppable = stoppable
        self.stopped = False
        self.reason = ""

    def listen(self, callback: Any) -> None:
        """Call `callback` with each alert from now on."""
        if not callable(callback):
            self._inbox.problem("on_alert() takes a function", 0)
        elif len(self._callbacks) >= MAX_CALLBACKS:
            self._inbox.problem(f"on_alert() takes {MAX_CALLBACKS} functions at most", 0)
        else:
            self._callbacks = (*self._callbacks, callback)

    def take(self, frame: Frame) -> None:
        """Heed a CONTROL frame.

        Raises:
            WireError: it is none.
        """
        message = read_json(frame, dict)
        action = message.get("action")
        if action == "stop" and self.stoppable:
            self._stop(message.get("reason"))
        elif action == "alert":
            self._tell(message.get("alert"))

    def _stop(self, reason: object) -> None:
        if self.stopped:
            return
        text = " ".join(str(reason or "a monitor asked").split())
        # The reason first: whoever sees that it is to stop may ask why at once.
        self.reason = "".join(c for c in text if c.isprintable())[:MAX_REASON]
        self.stopped = True
        self._inbox.notices.append(("warning", f"asked to stop: {self.reason}"))

    def _tell(self, alert: object) -> None:
        if not isinstance(alert, dict):
            raise WireError("an alert is an object")
        for callback in self._callbacks:
            try:
                callback(dict(alert))
            except BaseException as error:  # SystemExit, too, would end the publisher's thread.
                # A kind of error once: the text of an exception may differ each time.
                self._inbox.problem(f"on_alert() function raised {type(error).__name__}", 0)


class Controlled:
    """What a run shows of its control."""

    __slots__ = ()
    _control: Control

    @property
    def should_stop(self) -> bool:
        """Whether a monitor asked the run to stop; never, unless init() said stoppable=True."""
        return self._control.stopped

    @property
    def stoppable(self) -> bool:
        """Whether init() said stoppable=True."""
        return self._control.stoppable

    @property
    def stop_reason(self) -> str:
        """Why it should stop, "" as long as it need not."""
        return self._control.reason

    def on_alert(self, callback: Callback) -> None:
        """Have `callback` called with each alert of this run that a monitor tells, as a dict.

        It is called in the publisher's thread and should be quick; what it raises is told once.
        """
        self._control.listen(callback)
