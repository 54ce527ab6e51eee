"""The run that an integration writes to: the one it was given, the one that is open, or its own."""

from __future__ import annotations

from typing import Any

from llmtop.publish import current
from llmtop.publish.run import Run


class Target:
    """Finds the run at the first use, and ends it if it is of its own making."""

    def __init__(self, run: Run | None, about: dict[str, Any]) -> None:
        """Write to `run`; else, unless `about` names one, to the open one; else to init(**about).

        Args:
            run: A run of the user's, who finishes it.
            about: Arguments of `llmtop.init` as the user gave them; they win over the host's.
        """
        self._given, self._about = run, about
        self._own: Run | None = None

    @property
    def name(self) -> str | None:
        """What the user calls it, if anything is known of that."""
        return self._given.name if self._given is not None else self._about.get("name")

    @property
    def opened(self) -> Run | None:
        """The run, if there is one already."""
        if self._given is not None or self._own is not None:
            return self._given or self._own
        return None if self._about.get("name") else current.opened()

    def run(self, **host: Any) -> Run:
        """Return the run; one that has to be opened is described by `host`, as far as is known."""
        if self._given is not None:
            return self._given
        if self._own is None:
            opened = None if self._about.get("name") else current.opened()
            if opened is not None:
                return opened
            known = {key: value for key, value in host.items() if value is not None}
            self._own = current.init(**{**known, **self._about})
        return self._own

    def finish(self, reason: str | None = None) -> None:
        """End the run if it is of its own making; the next `run` opens another of that name."""
        own, self._own = self._own, None
        if own is not None:
            own.finish(reason)
