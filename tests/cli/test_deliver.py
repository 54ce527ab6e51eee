"""llmtop check hands on what fired, by the config file and by options, and says what failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[delivery.page]
to = "exec"
command = ["{python}", "-c", "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())", "{out}"]
severity = "critical"

[delivery.broken]
to = "exec"
command = ["/no/such/program"]
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    steps = [{"step": step, "time": 1.7e9 + step, "loss": 2.0 if step < 150 else float("nan")}
             for step in range(200)]
    path.write_text("".join(json.dumps(one) + "\n" for one in steps))
    return path


def check(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LLMTOP_CONFIG": str(tmp_path / "config.toml"), "HOME": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-m", "llmtop", "check", *words], env=env, capture_output=True,
        text=True, timeout=50, check=False,
    )  # fmt: skip


def test_what_fired_is_delivered_and_what_failed_is_said(tmp_path: Path, log: Path) -> None:
    out, lines = tmp_path / "paged", tmp_path / "alerts.jsonl"
    (tmp_path / "config.toml").write_text(CONFIG.format(python=sys.executable, out=out))
    done = check(tmp_path, str(log), "--alert-log", str(lines), "--bell")
    assert done.returncode == 1
    paged = [json.loads(line) for line in out.read_text().splitlines()]
    assert "loss_nonfinite" in {one["rule"] for one in paged}
    assert {one["severity"] for one in paged} == {"critical"}
    logged = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {one["rule"] for one in logged} >= {one["rule"] for one in paged}
    assert "broken: /no/such/program: no such command" in done.stderr
    assert "not delivered" in done.stderr
    # stderr is no terminal here.
    assert "\a" not in done.stderr


def test_nothing_fired_is_told_to_nobody(tmp_path: Path) -> None:
    log, lines = tmp_path / "calm.jsonl", tmp_path / "alerts.jsonl"
    log.write_text("".join(json.dumps({"step": step, "time": 1.7e9 + step, "loss": 2.0}) + "\n"
                           for step in range(200)))
    done = check(tmp_path, str(log), "--alert-log", str(lines))
    assert (done.returncode, done.stderr) == (0, "")
    assert not lines.exists()


def test_a_wrong_sink_is_bad_use(tmp_path: Path, log: Path) -> None:
    (tmp_path / "config.toml").write_text("[delivery.x]\nto = 'webhok'\nurl = 'http://x'\n")
    done = check(tmp_path, str(log))
    assert done.returncode == 2
    assert "delivery.x.to: 'webhok' is none of" in done.stderr
    assert "did you mean 'webhook'?" in done.stderr
