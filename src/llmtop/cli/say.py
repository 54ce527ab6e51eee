"""What llmtop says beside its output: one line on stderr."""

from __future__ import annotations

import sys

from llmtop.errors import printable


def say(text: str, *, who: str = "llmtop") -> None:
    """Print a line on stderr; what comes of servers and file names cannot move the cursor."""
    print(printable(f"{who}: {text}"), file=sys.stderr, flush=True)  # noqa: T201
