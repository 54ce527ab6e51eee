"""Log files, pipes and commands from the command line, without a screen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "LLMTOP_DIR": str(tmp_path / "rendezvous"),
            "LLMTOP_CONFIG": str(tmp_path / "config.toml")}


def llmtop(env: dict[str, str], *words: str, stdin: str | None = None,
           cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "llmtop", *words], input=stdin, text=True,
                          capture_output=True, env=env, cwd=cwd, timeout=50, check=False)


def test_a_log_as_json(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text("step=1 loss=2.5\nstep=2 loss=1.5\n")
    done = llmtop(env, "--json", "train.log", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"loss"' in done.stdout
    assert "1.5" in done.stdout


def test_globs_and_folders(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.jsonl").write_text('{"step": 1, "loss": 2.5}\n')
    (tmp_path / "b.jsonl").write_text('{"step": 1, "val_loss": 9.5}\n')
    done = llmtop(env, "--once", "*.jsonl", "runs", cwd=tmp_path)
    assert "2.500" in done.stdout
    assert "9.500" in done.stdout


def test_the_name_of_a_file_does_not_move_the_cursor(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "\x1b[2Jbad.log").touch()
    (tmp_path / "\x1b[2Jgood.log").write_text("step=1 loss=2.5\n")
    done = llmtop(env, "--once", "*.log", cwd=tmp_path)
    assert "[2Jbad.log: is empty" in done.stderr
    assert "[2Jgood" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_of_files_that_hold_nothing_it_says_what_was_looked_at(
    env: dict[str, str], tmp_path: Path
) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text("no numbers here\n" * 5)
    done = llmtop(env, "--once", "a.log", "b.log", cwd=tmp_path)
    assert done.stdout.splitlines() == ["no runs: nothing to show in a.log, b.log"]


def test_a_pipe(env: dict[str, str]) -> None:
    done = llmtop(env, "--once", "-", stdin="step=1 loss=2.5\n")
    assert done.returncode == 0, done.stderr
    assert "stdin" in done.stdout
    assert "2.500" in done.stdout


def test_a_command_and_its_exit_code(env: dict[str, str]) -> None:
    done = llmtop(env, "--once", "--", sys.executable, "-c",
                  "print('step=1 loss=2.5'); raise SystemExit(9)", "--wait")
    assert done.returncode == 9
    assert "2.500" in done.stdout
    assert "step=1 loss=2.5" in done.stderr


TRAINER = """
import signal, sys
def end(number, frame):
    print("told", number, flush=True)
    sys.exit(7)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_without_a_screen_ends_when_llmtop_does(
    env: dict[str, str], number: signal.Signals
) -> None:
    with running(env, "--once", "--", sys.executable, "-c", TRAINER) as process:
        said = iter(process.stderr)
        assert any("ready" in line for line in said)
        process.send_signal(number)
        assert process.wait(30) == 7


def test_a_command_under_nohup_goes_on(env: dict[str, str]) -> None:
    with running(env, "--once", "--", sys.executable, "-c", TRAINER, nohup=True) as process:
        said = iter(process.stderr)
        assert any("ready" in line for line in said)
        assert signal.SIGHUP in ignored(process.pid)
        process.terminate()
        assert process.wait(30) == 7


def ignored(pid: int) -> set[int]:
    """Return the signals that a process ignores."""
    text = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line for line in text.splitlines() if line.startswith("SigIgn")).split()[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@contextmanager
def running(
    env: dict[str, str], *words: str, nohup: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Yield llmtop as it runs, its output at hand."""
    before = ["nohup"] if nohup else []
    with subprocess.Popen(
        [*before, sys.executable, "-m", "llmtop", *words], env=env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("words", "said"), [
    (["--once", "--wait", "nan"], "--wait: seconds"),
    (["tran.log"], "no such file: 'tran.log', did you mean 'train.log'?"),
    (["--format", "nanogtp", "train.log"], "did you mean 'nanogpt'?"),
    (["--"], "name a command"),
    (["--", "no-such-program"], "cannot run 'no-such-program'"),
    (["train.log", "--", "true"], "either 'train.log' or a command"),
    (["--poll", "0", "train.log"], "--poll: between"),
    (["check-format"], "name a log file"),
    (["check-format", "."], "is a folder"),
    (["ftp://x"], "cannot open 'ftp://x'"),
])  # fmt: skip
def test_mistakes_are_one_line(env: dict[str, str], tmp_path: Path, words: list[str],
                               said: str) -> None:
    (tmp_path / "train.log").write_text("step=1 loss=2.5\n")
    done = llmtop(env, "--once", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_logs_says_so(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = llmtop(env, "--once", "empty", cwd=tmp_path)
    assert done.returncode == 0
    assert "llmtop: empty: no metric log there yet" in done.stderr.splitlines()


def test_formats_are_listed_with_an_example(env: dict[str, str]) -> None:
    done = llmtop(env, "formats")
    assert done.returncode == 0
    assert "huggingface" in done.stdout
    assert "{'loss'" in done.stdout
    assert "keyvalue" in done.stdout


def test_check_format_tells_what_is_read_and_what_is_not(
    env: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "a.log"
    log.write_text("hello\nstep=1 loss=2.5\n" + "x" * 300_000 + "\nstep=2 loss=1.5\n")
    done = llmtop(env, "check-format", str(log))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{log}: keyvalue"
    assert "2 points  2.50000 at step 1 .. 1.50000 at step 2" in lines[1]
    assert "left out, 1 times: line longer than 256 KiB (line 3)" in lines[2]
    assert "1 of 4 lines hold no metric" in lines[3]
    assert "line 1: hello" in lines[4]


def test_check_format_of_nothing_known(env: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("hello\n")
    done = llmtop(env, "check-format", str(log))
    assert done.returncode == 1
    assert "no metric recognised" in done.stdout
