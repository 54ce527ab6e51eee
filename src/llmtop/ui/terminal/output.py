"""What the rest of the screen asks about the terminal."""

from llmtop.ui.terminal.plain import plain_text, unicode_ok

__all__ = ["plain_text", "unicode_ok"]
