"""What the screen was told to remember is opened on another screen after both are over."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Program

RUN = """
import sys, llmtop
run = llmtop.init("kept", total_steps=400)
for step in range(400):
    run.log({"loss": 3.0 / (1 + step / 50)}, step=step)
sys.stdin.readline()
run.finish()
"""


def test_a_run_that_was_remembered_is_opened_again() -> None:
    # pytest's own directories can be too long for the path of a socket.
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        Path(folder).chmod(0o700)
        home: dict[str, str | None] = {
            "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder,
            "LLMTOP_DIR": folder,
        }  # fmt: skip
        env = {**os.environ, **{key: value for key, value in home.items() if value}}
        llmtop = [sys.executable, "-m", "llmtop"]
        trainer = subprocess.Popen(
            [sys.executable, "-c", RUN], env=env, text=True, stdin=subprocess.PIPE
        )
        with Program([*llmtop, "--remember"], env=home, columns=120, rows=40) as program:
            program.wait_for_text("step 399 / 400")
            trainer.communicate("\n", timeout=20)
            program.wait_for_text("✓ finished")
            program.send("q")
            assert program.exit_code() == 0
        for left in Path(folder).glob("past-*"):
            left.unlink()
        with Program([*llmtop, "open", "kept"], env=home, columns=120, rows=40) as program:
            program.wait_for_text("✓ finished")
            program.wait_for_text("step 399 / 400")
            program.send("q")
            assert program.exit_code() == 0
