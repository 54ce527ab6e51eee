"""What is known as plain text: one document for scripts, one snapshot for people. No Textual."""

from llmtop.text.document import render_json
from llmtop.text.snapshot import render_text

__all__ = ["render_json", "render_text"]
