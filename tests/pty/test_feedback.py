"""A real trainer and the real screen: told in every way, and stopped by a rule or by a person."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Program

TRAINER = """
import sys, time, llmtop
run = llmtop.init("tiny", stoppable=True)
run.on_alert(lambda alert: print("alert", alert["rule"], alert["state"], flush=True))
run.log({"loss": 1.0}, step=1)
print("logged", flush=True)
sys.stdin.readline()
if sys.argv[1] == "break":
    run.log({"loss": float("nan")}, step=2)
while not run.should_stop:
    time.sleep(0.01)
print("stopped", run.stop_reason, flush=True)
run.finish()
"""
STOP_RULE = """
[rules.loss_nonfinite]
action = "stop"
"""


@pytest.fixture
def home() -> Iterator[dict[str, str | None]]:
    # pytest's own directories can be too long for the path of a socket.
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        Path(folder).chmod(0o700)
        yield {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder,
               "LLMTOP_DIR": folder, "LLMTOP_NO_DISCOVER": "1", "TERM": "xterm-kitty"}


@contextmanager
def trainer(home: dict[str, str | None], mode: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, **{k: v for k, v in home.items() if v}}
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER, mode], env=env, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert read(process) == "logged"
            yield process
        finally:
            process.kill()


def read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def rung(program: Program) -> bool:
    """Tell whether the bell rang; one that ends a sequence does not."""
    return b"\a" in re.sub(rb"\x1b\][^\a\x1b]*(?:\a|\x1b\\)?", b"", bytes(program.raw))


def show(home: dict[str, str | None], *words: str) -> Program:
    return Program([sys.executable, "-m", "llmtop", *words], env=home, columns=120, rows=40)


def test_a_nan_rings_notifies_is_logged_and_stops_the_run(home: dict[str, str | None]) -> None:
    folder = Path(str(home["HOME"]))
    (folder / "rules.toml").write_text(STOP_RULE)
    log = folder / "alerts.jsonl"
    words = ("--bell", "--notify", "--alert-log", str(log), "--rules", str(folder / "rules.toml"))
    with trainer(home, "break") as run, show(home, *words) as program:
        program.wait_for_text("tiny")
        program.wait_for_text("● live")
        assert not rung(program)
        go(run)
        program.wait_for(lambda: rung(program))
        program.wait_for(lambda: b"\x1b]99;i=llmtop-" in program.raw)
        said = [read(run), read(run)]
        assert "alert loss_nonfinite firing" in said
        assert any(line.startswith("stopped loss_nonfinite: ") for line in said)
        program.wait_for_text("✓ finished")
        program.wait_for(log.exists)
        program.send("q")
        assert program.exit_code() == 0
        # Nothing of it was drawn.
        assert "p=body" not in program.text
    first = json.loads(log.read_text().splitlines()[0])
    assert (first["rule"], first["run"], first["state"]) == ("loss_nonfinite", "tiny", "firing")


def test_a_person_stops_the_run(home: dict[str, str | None]) -> None:
    with trainer(home, "calm") as run, show(home) as program:
        program.wait_for_text("● live")
        go(run)
        program.send("S")
        program.wait_for_text("ask tiny to stop?")
        program.send("y")
        program.wait_for_text("tiny is asked to stop")
        assert read(run) == "stopped asked by a person at llmtop"
        program.wait_for_text("✓ finished")
        program.send("q")
        assert program.exit_code() == 0


def test_a_wrong_sink_is_said_before_the_screen(home: dict[str, str | None]) -> None:
    config = Path(str(home["XDG_CONFIG_HOME"])) / "llmtop"
    config.mkdir()
    (config / "config.toml").write_text("[delivery.team]\nto = 'slak'\n")
    with show(home) as program:
        assert program.exit_code() == 2
        assert "did you mean 'slack'?" in program.text
        assert b"\x1b[?1049h" not in program.raw
