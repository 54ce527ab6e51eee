"""A small app on llmtop's terminal layer, for the tests beside it: keys make things happen."""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Label, Static

from llmtop.errors import ConfigError
from llmtop.ui.terminal.celldiff import CellDiffMixin
from llmtop.ui.terminal.crash import run_app


class Sample(CellDiffMixin, App[None]):
    CSS = "#bars { border: round $primary; height: 1fr; } #table { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "quit"),
        ("n", "step", "next"),
        ("x", "boom", "crash"),
        ("b", "mistake", "a person's mistake"),
        ("w", "noise", "everything that could write on the screen"),
        ("r", "repaint", "repaint"),
        ("p", "panic", "end without a code"),
    ]

    def __init__(self) -> None:
        super().__init__()
        if "plain" in sys.argv:
            self.diff_off = "the test wants Textual's own output"
        self.count = 0
        self.random = random.Random(1)

    def compose(self) -> ComposeResult:
        yield Label("count 0", id="count")
        yield Static(id="bars")
        yield DataTable(id="table")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("run", "loss", "note")
        for number in range(12):
            table.add_row(f"run-{number}", "0.0", "世界" if number % 4 == 0 else "ok")
        if "timer" in sys.argv:
            self.set_timer(0.05, self.action_boom)

    def action_step(self) -> None:
        self.count += 1
        bars = "\n".join(
            "".join(self.random.choice("⣿⣷⣶⡇ ⠀─") for _ in range(50)) for _ in range(3)
        )
        self.query_one("#bars", Static).update(bars)
        self.query_one(DataTable).update_cell_at(
            (self.random.randrange(12), 1), f"{self.random.random():.3f}"
        )
        self.query_one("#count", Label).update(f"count {self.count} bytes")

    def action_boom(self) -> None:
        raise ValueError("the reason")

    def action_mistake(self) -> None:
        raise ConfigError("llmtop.toml: no such key 'fsp'")

    def action_noise(self) -> None:
        logging.getLogger("library").warning("NOISE logged")
        logging.StreamHandler(sys.__stderr__).emit(logging.makeLogRecord({"msg": "NOISE handled"}))
        warnings.warn("NOISE warned", stacklevel=1)
        print("NOISE printed")  # noqa: T201
        os.write(1, b"NOISE from C on 1")
        os.write(2, b"NOISE from C on 2")
        self.action_step()

    def action_repaint(self) -> None:
        self.repaint()

    def action_panic(self) -> None:
        self.panic("gone wrong")


def make() -> App[None]:
    if "early" in sys.argv:
        raise RuntimeError("before the screen")
    return Sample()


if __name__ == "__main__":
    sys.exit(run_app(make))
