"""From the command to the first thing to look at."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence

from tests.bench.children import rendezvous
from tests.bench.table import Row, below, missing
from tests.bench.terminal import Bytes, environment

RUNS = 7
COLUMNS, ROWS = 160, 45
EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("painted")
Empty().run()
"""


def paint() -> Iterator[Row]:
    """Yield the least and the median of RUNS starts."""
    for what, command, text, limit in (
        ("llmtop: first paint", [sys.executable, "-m", "llmtop"], b"llmtop", 0.5),
        ("llmtop: first data (its own cost in the footer)", [sys.executable, "-m", "llmtop"],
         b"cpu", None),
        ("an empty Textual app: first paint", [sys.executable, "-c", EMPTY], b"painted", None),
        ("htop: first paint", ["htop"], b"PID", None),
    ):
        if shutil.which(command[0]) is None:
            yield missing(what)
            continue
        took = sorted(_start(command, text) for _ in range(RUNS))
        shown = f"{took[0] * 1e3:.0f} ms, median {took[RUNS // 2] * 1e3:.0f} ms"
        if limit is None:
            yield Row(what, shown)
        else:
            yield below(what, took[RUNS // 2], limit, "s")._replace(measured=shown)


def _start(command: Sequence[str], text: bytes) -> float:
    with rendezvous() as env:
        began = time.perf_counter()
        with Bytes(command, columns=COLUMNS, rows=ROWS, env=environment(env)) as program:
            return program.seconds_until(text, began)
