"""The standard library's logging, as a handler.

    logging.getLogger().addHandler(LlmtopHandler())
    log.info("trained", extra={"step": step, "loss": loss})        samples
    log.info("trained", extra={"step": step, "metrics": {...}})    samples
    log.warning("loss is not finite")                              an event
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from llmtop.integrations.target import Target
from llmtop.publish.run import Run

STANDARD = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime", "taskName"}
)
"""What every record has: none of it is a metric."""
STEPS = ("step", "global_step", "iteration")
"""Extras that say which step the others belong to."""


class LlmtopHandler(logging.Handler):
    """Publishes numbers among a record's extras as samples, and its text if it is a warning."""

    def __init__(
        self, run: Run | None = None, events: int = logging.WARNING, **about: Any
    ) -> None:
        """Publish to `run`, or to the one that is open, or to one of its own.

        Args:
            run: A run of the user's, who finishes it.
            events: The level from which on the text of a record becomes an event.
            **about: Arguments of `llmtop.init`, such as name or tags.
        """
        super().__init__()
        self._target = Target(run, about)
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        """Publish one record."""
        try:
            extras = {key: value for key, value in vars(record).items() if key not in STANDARD}
            metrics, step = samples(extras)
            if metrics:
                self._target.run().log(metrics, step=step)
            if record.levelno >= self._events:
                text = f"{record.name}: {record.getMessage()}"
                self._target.run().event(text, record.levelname.lower())
        except Exception:  # A handler may not raise into the code that logs.
            self.handleError(record)


def samples(extras: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return {name: number} of a record's extras, and their step if one of them says it."""
    step = next((extras[key] for key in STEPS if is_number(extras.get(key))), None)
    metrics = {
        key: value for key, value in extras.items() if key not in STEPS and is_number(value)
    }
    given = extras.get("metrics")
    if isinstance(given, Mapping):
        if step is None:
            step = next((given[key] for key in STEPS if is_number(given.get(key))), None)
        metrics.update({key: value for key, value in given.items() if key not in STEPS})
    return metrics, None if step is None else int(step)


def is_number(value: Any) -> bool:
    """Return whether `value` is a number; those of numpy and torch say so by item()."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float)) or callable(getattr(value, "item", None))
