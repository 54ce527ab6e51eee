"""`llmtop check`: exit codes and what is printed, over finished logs and a run that goes on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmtop.cli.main import main

Inside = Callable[..., tuple[int, str, str]]
FINISHED = (1_700_000_200, 1_700_000_200)
"""Of a log that nothing was added to for long, and that is read without waiting for more."""
LIVE = """
import sys, time
import llmtop

run = llmtop.init("live")
for step in range(100_000):
    run.log({"loss": float("nan") if step > 20 else 2.0}, step=step)
    time.sleep(0.02)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A finished log with a time on each line: the loss is NaN at one step, then fine again."""
    path = tmp_path / "gpt.jsonl"
    lines = [
        json.dumps({"step": step, "loss": math.nan if step == 60 else 2.0 - step / 1000,
                    "lr": 3e-4, "timestamp": 1_700_000_000 + step})
        for step in range(120)
    ]
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, FINISHED)
    return path


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    path = tmp_path / "quiet.jsonl"
    path.write_text("".join(
        json.dumps({"step": step, "loss": 2.0 - step / 1000}) + "\n" for step in range(120)))
    os.utime(path, FINISHED)
    return path


@pytest.fixture
def inside(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rendezvous: Path
) -> Inside:
    """Return a function that runs llmtop in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("LLMTOP_DIR", str(rendezvous))
    monkeypatch.setenv("XDG_STATE_HOME", str(rendezvous / "state"))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        return code, *capsys.readouterr()

    return run


def test_a_log_without_times_says_what_is_not_judged(
    inside: Inside, quiet: Path, log: Path
) -> None:
    said = "llmtop: quiet has no times: rules with `for` or a window of time are not judged\n"
    code, _, errors = inside("check", str(quiet))
    assert (code, errors) == (0, said)
    code, _, errors = inside("alerts", "test", "-", str(quiet))
    assert (code, errors) == (0, said)
    code, _, errors = inside("check", str(log))
    assert (code, errors) == (1, "")


def test_quiet_is_0(llmtop, quiet: Path) -> None:
    done = llmtop("check", str(quiet))
    assert (done.returncode, done.stdout) == (0, "")


def test_what_fired_long_before_the_end_is_1_and_said_with_what_to_do(llmtop, log: Path) -> None:
    done = llmtop("check", str(log))
    assert (done.returncode, done.stderr) == (1, "")
    first, *more = done.stdout.splitlines()
    assert "step 60  critical  loss_nonfinite:  loss is NaN or infinite on gpt" in first
    assert "go back to the last checkpoint" in "".join(more)


def test_as_json(llmtop, log: Path) -> None:
    done = llmtop("check", str(log), "--json")
    assert done.returncode == 1
    (alert,) = json.loads(done.stdout)
    assert (alert["rule"], alert["severity"], alert["state"]) == (
        "loss_nonfinite", "critical", "resolved")
    assert (alert["run"], alert["step"]) == ("gpt", 60)
    assert alert["resolved_at"] > alert["fired_at"] == alert["since"]


def test_info_is_printed_and_quiet(inside: Inside, quiet: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[rules.falls]\nwhen = "loss < 1.9"\nseverity = "info"\n')
    code, out, _ = inside("check", "--rules", str(rules), str(quiet))
    assert code == 0
    assert "info  falls:" in out


def test_a_rule_of_the_command_line(inside: Inside, log: Path) -> None:
    code, out, _ = inside("check", str(log), "--alert", "loss < 1.95 for 30s")
    assert code == 1
    assert "alert_1:" in out
    assert "alert_1" not in inside("check", str(log), "--alert", "loss < 1.95 for 30m")[1]


BAD = {
    ("check", "/nowhere.log"): "no such file: '/nowhere.log'",
    ("check", "--for", "soon", "."): "--for: 'soon' is not a length of time",
    ("check", "--rules", "/nowhere.toml"): "/nowhere.toml: no such file",
    ("check", "--alert", "loss >> 5"): "--alert: rules.alert_1.when: column 7",
    ("--for", "5m", "--once"): "--for is for llmtop check",
    ("alerts", "tset"): "did you mean 'test'?",
    ("alerts", "test"): "name a file of rules",
    ("alerts", "test", "-"): "name a file of rules",
    ("--once", "--alert", "los > 5"): "did you mean 'loss'?",
}  # fmt: skip


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_use_is_2(inside: Inside, words: tuple[str, ...]) -> None:
    code, out, told = inside(*words)
    assert code == 2
    assert out == ""
    assert BAD[words] in told
    assert told.count("\n") == 1


def test_a_run_that_breaks_while_it_is_watched(llmtop, environment: dict[str, str]) -> None:
    with subprocess.Popen([sys.executable, "-c", LIVE], env=environment) as publisher:
        done = llmtop("check", "--for", "4s")
        publisher.kill()
    assert done.returncode == 1
    assert "critical  loss_nonfinite:  loss is NaN or infinite on live" in done.stdout


def test_a_snapshot_tells_of_it_too_and_remembers_nothing(
    llmtop, environment: dict[str, str], log: Path, tmp_path: Path
) -> None:
    text = log.read_text().replace('"loss": 1.881', '"loss": NaN')
    log.write_text(text)
    state = tmp_path / "state"
    done = llmtop("--once", str(log), XDG_STATE_HOME=str(state))
    assert "critical  loss_nonfinite:" in done.stdout
    document = json.loads(llmtop("--json", str(log), XDG_STATE_HOME=str(state)).stdout)
    assert [alert["rule"] for alert in document["alerts"]] == ["loss_nonfinite"]
    assert not state.exists()
