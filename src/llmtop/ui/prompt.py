"""The filter's line at the bottom of the screen."""

from __future__ import annotations

from dataclasses import replace

from textual import on
from textual.binding import Binding
from textual.widgets import Input


class FilterPrompt(Input):
    """Filters while it is typed in; enter keeps the filter, esc drops it."""

    BINDINGS = [Binding("escape", "drop", "drop the filter", show=False)]  # noqa: RUF012

    def __init__(self, text: str) -> None:
        super().__init__(text, placeholder="filter runs and metrics by name", id="prompt",
                         compact=True)

    @on(Input.Changed)
    def narrow(self, event: Input.Changed) -> None:
        """Show what matches so far."""
        event.stop()
        app = self.app
        app.look(replace(app.view, filter=event.value))  # type: ignore[attr-defined]  # ours

    @on(Input.Submitted)
    def keep(self, event: Input.Submitted) -> None:
        """Keep the filter and give the keys back."""
        event.stop()
        self.remove()

    def action_drop(self) -> None:
        """Show everything again."""
        app = self.app
        app.look(replace(app.view, filter=""))  # type: ignore[attr-defined]  # ours
        self.remove()
