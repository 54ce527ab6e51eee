"""llmtop itself in a pseudo-terminal: how it starts, what it survives and how it ends."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from harness import Program


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str | None]:
    """An environment of its own, so that neither runs nor config of the machine are seen."""
    return {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LLMTOP_DIR": str(tmp_path),
    }


def llmtop(home: dict[str, str | None], *words: str, **options: object) -> Program:
    env = {**home, **options.pop("env", {})}  # type: ignore[dict-item]
    return Program([sys.executable, "-m", "llmtop", *words], env=env, **options)  # type: ignore[arg-type]


def ready(program: Program) -> None:
    """Wait until the first data are drawn: the footer then says what llmtop costs."""
    program.wait_for(lambda: "llmtop" in program.text.splitlines()[0])
    program.wait_for_text("% cpu")


def quit_well(program: Program) -> None:
    program.send("q")
    assert program.exit_code() == 0
    assert not program.in_alternate_screen
    assert program.after_screen.strip() == ""


def test_it_starts_says_its_name_and_quits(home: dict[str, str | None]) -> None:
    with llmtop(home) as program:
        ready(program)
        quit_well(program)


@pytest.mark.parametrize(("columns", "rows"), [(160, 45), (60, 15), (20, 5), (3, 2)])
def test_it_starts_at_any_size(home: dict[str, str | None], columns: int, rows: int) -> None:
    with llmtop(home, columns=columns, rows=rows) as program:
        program.wait_for(lambda: program.in_alternate_screen)
        program.settle(0.4)
        quit_well(program)


def test_it_survives_resizes_and_draws_the_same_again(home: dict[str, str | None]) -> None:
    with llmtop(home, columns=100, rows=30) as program:
        ready(program)
        for columns, rows in ((20, 5), (200, 60), (1, 1), (100, 30)):
            program.resize(columns, rows)
            program.settle(0.2)
        ready(program)
        quit_well(program)


def test_it_survives_old_mouse_reports_in_every_place(home: dict[str, str | None]) -> None:
    with llmtop(home, columns=230, rows=40) as program:
        ready(program)
        for column in (32, 120, 200, 255):
            program.send(b"\x1b[M" + bytes([35, column, 113]))
        program.settle(0.3)
        assert program.process.poll() is None
        quit_well(program)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_the_terminal_restored(
    home: dict[str, str | None], number: signal.Signals
) -> None:
    with llmtop(home) as program:
        ready(program)
        program.signal(number)
        assert program.exit_code() == 128 + number
        assert not program.in_alternate_screen


def test_suspended_and_resumed_it_goes_on(home: dict[str, str | None]) -> None:
    with llmtop(home) as program:
        ready(program)
        program.send(b"\x1a")
        program.wait_until_stopped()
        program.screen.reset()
        program.signal(signal.SIGCONT)
        ready(program)
        quit_well(program)


@pytest.mark.parametrize(
    "env",
    [{"COLORTERM": None}, {"NO_COLOR": "1"}, {"LC_ALL": "C"}, {"TERM": "xterm", "COLORTERM": None}],
    ids=["256", "none", "ascii", "16"],
)
def test_it_draws_on_poorer_terminals(
    home: dict[str, str | None], env: dict[str, str | None]
) -> None:
    with llmtop(home, env=env) as program:
        ready(program)
        if "LC_ALL" in env:
            assert program.raw.isascii()
        quit_well(program)


def test_an_unknown_option_is_a_line_and_no_screen(home: dict[str, str | None]) -> None:
    with llmtop(home, "--no-such-option") as program:
        assert program.exit_code() == 2
        assert b"?1049h" not in program.raw
        assert "--no-such-option" in program.text
