"""A real run, published by a process of its own, on the real screen."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Program

RUN = """
import sys, time, llmtop
run = llmtop.init("tiny", total_steps=400)
for step in range(400):
    run.log({"loss": 3.0 / (1 + step / 50), "accuracy": step / 400}, step=step)
run.event("checkpoint 400 saved")
print("logged", flush=True)
sys.stdin.readline()
run.finish()
"""


@pytest.fixture
def home() -> Iterator[dict[str, str | None]]:
    # pytest's own directories can be too long for the path of a socket.
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        Path(folder).chmod(0o700)
        yield {"HOME": folder, "XDG_CONFIG_HOME": folder, "LLMTOP_DIR": folder}


@pytest.fixture
def trainer(home: dict[str, str | None]) -> Iterator[subprocess.Popen[str]]:
    import os

    env = {**os.environ, **{k: v for k, v in home.items() if v}}
    with subprocess.Popen(
        [sys.executable, "-c", RUN], env=env, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "logged\n"
        yield process
        process.kill()


def show(home: dict[str, str | None], columns: int = 120, rows: int = 40) -> Program:
    return Program([sys.executable, "-m", "llmtop"], env=home, columns=columns, rows=rows)


def test_a_late_monitor_shows_the_run_and_then_its_end(
    home: dict[str, str | None], trainer: subprocess.Popen[str]
) -> None:
    with show(home) as program:
        program.wait_for_text("step 399 / 400")
        program.wait_for_text("● live")
        program.wait_for_text("checkpoint 400 saved")
        program.wait_for_text("accuracy")
        assert trainer.stdin is not None
        trainer.stdin.write("\n")
        trainer.stdin.flush()
        program.wait_for_text("✓ finished")
        program.settle(0.3)
        before, sent = drawn(program), len(program.raw)
        program.send("\x0c")
        program.settle(0.3)
        assert len(program.raw) - sent > 2000
        assert drawn(program) == before, "what was written at once is what a repaint writes"
        program.send("q")
        assert program.exit_code() == 0


def drawn(program: Program) -> list[list[tuple[object, ...]]]:
    """Return what all rows show but the last, in which the cost may change at any time."""
    screen = program.screen
    return [
        [(cell.data, cell.bg) + (() if cell.data == " " else (cell.fg, cell.bold))
         for cell in (screen.buffer[y][x] for x in range(screen.columns))]
        for y in range(screen.lines - 1)
    ]


def test_a_killed_run_is_said_to_have_died(
    home: dict[str, str | None], trainer: subprocess.Popen[str]
) -> None:
    with show(home, 80, 24) as program:
        program.wait_for_text("399/400")
        trainer.kill()
        program.wait_for_text("▲ died")
        program.send("q")
        assert program.exit_code() == 0


def test_nothing_is_sent_while_nothing_changes(
    home: dict[str, str | None], trainer: subprocess.Popen[str]
) -> None:
    with show(home) as program:
        program.wait_for_text("step 399 / 400")
        trainer.communicate("\n")
        program.wait_for_text("✓ finished")
        # The minute of the clock and what llmtop itself costs may still change, 52 bytes a time.
        program.settle(3.0)
        before = len(program.raw)
        program.pump(3.0)
        assert len(program.raw) - before < 5 * 52


def test_the_first_paint_has_the_name_and_the_keys(home: dict[str, str | None]) -> None:
    with show(home) as program:
        program.wait_for(lambda: b"llmtop" in program.raw)
        program.wait_for(lambda: "? help" in program.text)
