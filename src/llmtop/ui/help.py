"""The help screen: the key table, as it is."""

from __future__ import annotations

from rich.table import Table
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from llmtop.ui.keys import rows


class HelpScreen(ModalScreen[None]):
    """Every key and what it does; any of esc, ?, q or enter leaves."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 84; max-width: 100%; height: auto; max-height: 100%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    """
    BINDINGS = [  # noqa: RUF012
        ("escape,q,question_mark,enter", "dismiss", "close"),
    ]

    def compose(self) -> ComposeResult:
        """Return the table."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for key, text in rows():
            table.add_row(key, text)
        table.add_row("mouse", "click selects, wheel zooms, drag pans, hover shows the value")
        with VerticalScroll() as scroll:
            scroll.border_title = "keys"
            yield Static(table)
