"""The screen over a pipe, a command and a file: keys work, signals and exit codes pass."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from harness import Program

LLMTOP = [sys.executable, "-m", "llmtop"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str | None]:
    return {"LLMTOP_DIR": str(tmp_path / "rendezvous"), "LLMTOP_CONFIG": str(tmp_path / "no.toml")}


def test_keys_work_while_stdin_is_a_pipe(env: dict[str, str | None]) -> None:
    shell = f"(echo 'step=1 loss=2.5'; sleep 60) | exec {' '.join(LLMTOP)} -"
    with Program(["sh", "-c", shell], columns=120, rows=40, env=env) as program:
        program.wait_for_text("stdin")
        program.wait_for_text("2.5")
        program.send("q")
        program.wait_for(lambda: not program.in_alternate_screen)


def test_a_commands_metrics_and_its_exit_code(env: dict[str, str | None]) -> None:
    code = "print('step=1 loss=2.5', flush=True); raise SystemExit(7)"
    with Program([*LLMTOP, "--", sys.executable, "-c", code], columns=120, rows=40,
                 env=env) as program:
        program.wait_for_text("failed")
        program.send("q")
        assert program.exit_code() == 7


@pytest.mark.parametrize("way", ["key", "signal"])
def test_a_command_ends_politely_with_the_screen(
    env: dict[str, str | None], tmp_path: Path, way: str
) -> None:
    done = tmp_path / "done"
    code = (
        "import signal, sys, time\n"
        f"def end(number, _):\n    open({str(done)!r}, 'w').write(str(number))\n    sys.exit(4)\n"
        "for n in (2, 15): signal.signal(n, end)\n"
        "print('step=1 loss=2.5', flush=True)\ntime.sleep(60)"
    )
    with Program([*LLMTOP, "--", sys.executable, "-c", code], columns=120, rows=40,
                 env=env) as program:
        program.wait_for_text("2.5")
        if way == "key":
            program.send("q")
        else:
            program.signal(signal.SIGTERM)
        assert program.exit_code() == 4
    wanted = signal.SIGINT if way == "key" else signal.SIGTERM
    assert done.read_text() == str(int(wanted))


def test_a_file_on_the_screen_grows(env: dict[str, str | None], tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("".join(f"step={n} loss={9 - n / 10}\n" for n in range(30)))
    os.utime(path, (1e9, 1e9))
    with Program([*LLMTOP, str(path)], columns=120, rows=40, env=env) as program:
        program.wait_for_text("stale")
        with path.open("a") as file:
            file.write("step=30 loss=4.125\n")
        program.wait_for_text("4.125")
        program.wait_for_text("live")
        program.send("q")
        assert program.exit_code() == 0
