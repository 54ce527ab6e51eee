"""`llmtop alerts`: the rules as they are; `llmtop alerts test`: when they would have fired."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from llmtop.rules.load import built_in
from llmtop.rules.saved import Saved, write_saved


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[rules.loss_spike]\nenabled = false\n'
        '[rules.high]\nwhen = "loss > 3"\nfor = "20s"\nclear = "loss < 2"\nhint = "look here"\n'
    )
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "gpt.jsonl"
    values = [1.0] * 50 + [4.0] * 40 + [1.0] * 30 + [4.0] * 10 + [1.0] * 10
    path.write_text("".join(
        json.dumps({"step": step, "loss": value, "timestamp": 1_700_000_000 + step}) + "\n"
        for step, value in enumerate(values)))
    os.utime(path, (1_700_000_200, 1_700_000_200))
    return path


def test_every_rule_is_listed_with_what_it_watches_for(llmtop, tmp_path: Path) -> None:
    done = llmtop("alerts", XDG_STATE_HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    text = " ".join(done.stdout.split())
    assert max(map(len, lines)) <= 100
    for rule in built_in():
        line = next(line for line in lines if line.split()[0] == rule.name)
        assert line.split()[1] == rule.severity
        assert line.split()[2] == ("on" if rule.enabled else "off")
        assert " ".join(rule.condition.split()) in text


def test_changed_rules_and_what_is_firing(llmtop, rules: Path, tmp_path: Path) -> None:
    key = "high: gpt@node-07"
    state = tmp_path / "llmtop" / "alerts.json"
    now = time.time()
    write_saved(state, {
        key: Saved(now - 9000, now - 9000, seen=now - 60),
        f"{key} rank 1": Saved(now - 9000, now - 9000, seen=now - 5000),
        "loss_nan: gpt": Saved(now - 5000, now - 5000, seen=now - 4000),
        "loss_plateau: gpt": Saved(now - 50, now - 50, now - 20, seen=now - 20),
    })  # fmt: skip
    done = llmtop("alerts", "--rules", str(rules), XDG_STATE_HOME=str(tmp_path))
    lines = done.stdout.splitlines()
    assert any(line.split()[:3] == ["loss_spike", "warning", "off"] for line in lines)
    high = next(number for number, line in enumerate(lines) if line.startswith("high "))
    assert f"firing 1 at {datetime.fromtimestamp(now - 60):%H:%M}" in lines[high]
    # What was seen long ago, or is over, says nothing of now.
    assert done.stdout.count("firing 1") == 1
    assert str(rules) in lines[high]
    assert lines[high + 1].strip() == "loss > 3; for 20s; clear when loss < 2"


def test_a_backtest_says_when_each_rule_would_have_fired(
    llmtop, rules: Path, log: Path
) -> None:
    done = llmtop("alerts", "test", str(rules), str(log))
    assert (done.returncode, done.stderr) == (0, "")
    fired, hint, told = done.stdout.splitlines()
    assert "step 50" not in fired
    assert "step 70  warning  high:" in fired
    assert fired.endswith("(over after 40s)")
    assert hint.strip() == "look here"
    on = sum(one.enabled for one in built_in())
    assert told == f"1 alert of {on} rules over 140 points of gpt"


def test_the_built_in_rules_alone(llmtop, log: Path) -> None:
    done = llmtop("alerts", "test", "-", str(log))
    assert "0 alerts of" in done.stdout
