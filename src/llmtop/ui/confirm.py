"""A question that is answered by y or n, before anything happens that cannot be taken back."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static


class Confirm(ModalScreen[bool]):
    """y is yes; n, esc and q are no, and nothing else is an answer."""

    CSS = """
    Confirm { align: center middle; background: $background 60%; }
    Confirm Static {
        width: auto; max-width: 90%; height: auto;
        background: $surface; border: round $warning; padding: 0 2;
    }
    """
    BINDINGS = [  # noqa: RUF012
        ("y", "answer(True)", "yes"),
        ("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Return the question."""
        yield Static(Text.assemble(self._question, "  ", ("y", "bold"), "/", ("n", "bold")))

    def action_answer(self, yes: bool) -> None:
        """Leave with the answer."""
        self.dismiss(yes)
