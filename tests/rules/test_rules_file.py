"""Rules in TOML: layers, names, and what is said of a mistake."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from llmtop.errors import ConfigError
from llmtop.rules.load import Layer, alert_table, built_in, load_rules, merge, rules_path
from llmtop.rules.rule import Rule


def load(tmp_path: Path, text: str, *alerts: str) -> dict[str, Rule]:
    path = tmp_path / "rules.toml"
    path.write_text(textwrap.dedent(text))
    return {one.name: one for one in load_rules(path, alerts, named=True)}


def test_a_file_adds_changes_and_switches_off(tmp_path: Path) -> None:
    rules = load(tmp_path, """
        [rules.ttft_high]
        when = "p99(ttft_seconds, 5m) > 2s"
        severity = "critical"
        [rules.loss_spike]
        sigma = 8
        floor = "5 %"
        [rules.gpu_hot]
        enabled = false
        [rules.mine]
        when = "'my/metric' > 3"
        for = "90s"
        keep_firing_for = "1m"
        cooldown = 30
        per = "rank"
        phases = ["train", "eval"]
        action = "stop"
        message = "{value} of rank {rank}"
    """)
    shipped = {one.name: one for one in built_in()}
    assert len(rules) == len(shipped) + 1
    changed = rules["ttft_high"]
    assert (changed.condition, changed.severity) == ("p99(ttft_seconds, 5m) > 2s", "critical")
    assert changed.clear is None
    assert (changed.wait, changed.hint) == (300, shipped["ttft_high"].hint)
    assert changed.source == str(tmp_path / "rules.toml")
    assert "8 sigma" in rules["loss_spike"].condition
    assert not rules["gpu_hot"].enabled
    mine = rules["mine"]
    assert (mine.wait, mine.keep, mine.cooldown, mine.per) == (90, 60, 30, "rank")
    assert (mine.phases, mine.action, mine.severity) == (("train", "eval"), "stop", "warning")
    assert rules["loss_diverged"] == shipped["loss_diverged"]


def test_a_detector_gives_way_to_a_condition_and_the_other_way_round(tmp_path: Path) -> None:
    rules = load(tmp_path, """
        [rules.loss_spike]
        when = "loss > 5"
        [rules.kv_full]
        detector = "spike"
        metric = "kv_usage"
    """)
    assert rules["loss_spike"].detector is None
    assert rules["loss_spike"].condition == "loss > 5"
    assert rules["kv_full"].when is None
    assert rules["kv_full"].reads == ("kv_cache_usage",)


def test_the_command_line_comes_last(tmp_path: Path) -> None:
    rules = load(tmp_path, "", "loss > 5 for 2m", "'for' > 1")
    assert (rules["alert_1"].condition, rules["alert_1"].wait) == ("loss > 5", 120)
    assert rules["alert_1"].source == "--alert"
    assert rules["alert_2"].condition == "'for' > 1"
    assert alert_table("loss > 5 for 2 m")["for"] == "2 m"


WRONG = {
    "[rule.x]\nwhen = 'loss > 1'": "unknown key 'rule', did you mean 'rules'?",
    "[rules.x]\nwhen = 'loss > 1'\nwen = 1": "rules.x: unknown key 'wen', did you mean 'when'?",
    "[rules.ttft_hi]\nseverity = 'info'": "no such rule to change, did you mean 'ttft_high'?",
    "[rules.x]\nwhen = 'los > 1'": "rules.x.when: column 1: no metric 'los', did you mean 'loss'?",
    "[rules.x]\nwhen = 3": "rules.x.when: a condition in quotes is needed",
    "[rules.x]\nwhen = 'loss > 1'\nfor = '5 parsecs'": "rules.x.for: '5 parsecs' is not a length",
    "[rules.x]\nwhen = 'loss > 1'\nfor = true": "rules.x.for: True is not a length",
    "[rules.x]\nwhen = 'loss > 1'\ncooldown = '9000h'": "up to a week",
    "[rules.x]\nwhen = 'loss > 1'\nseverity = 'bad'": "severity: 'bad' is none of info, warning",
    "[rules.x]\nwhen = 'loss > 1'\nper = 'ranks'": "did you mean 'rank'?",
    "[rules.x]\nwhen = 'loss > 1'\nphases = 'train'": "phases: a list of train, eval, serve",
    "[rules.x]\nwhen = 'loss > 1'\nenabled = 1": "enabled: true or false",
    "[rules.x]\nwhen = 'loss > 1'\nmessage = '{valu}'": "{valu} is nothing to fill in, did you",
    "[rules.x]\nwhen = 'loss > 1'\nmessage = '{run.tags}'": "{run.tags} is nothing to fill in",
    "[rules.x]\nwhen = 'loss > 1'\nmessage = '{'": "a brace itself is written twice",
    "[rules.x]\ndetector = 'spke'": "no detector 'spke', did you mean 'spike'?",
    "[rules.x]\ndetector = 'spike'\nsigmas = 3": "unknown key 'sigmas', did you mean 'sigma'?",
    "[rules.x]\ndetector = 'spike'\nsigma = 'much'": "rules.x.sigma: 'much' is not a number",
    "[rules.x]\ndetector = 'spike'\nwindow = 0": "rules.x.window: a whole number of at least 1",
    "[rules.x]\ndetector = 'spike'\nlog = 3": "rules.x.log: true or false",
    "[rules.x]\ndetector = 'turned'\nonly = 3": "rules.x.only: a list of whole numbers",
    "[rules.x]\ndetector = 'spike'\nclear = 'loss < 1'": "a detector says itself",
    "[rules.x]\ndetector = 'spike'\nwhen = 'loss < 1'": "either when or detector",
    "[rules.'a b']\nwhen = 'loss < 1'": "'a b' is no name of a rule",
    "rules = 3": "a rule is a table",
    "[rules": "rules.toml: ",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_one_line_that_names_the_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    told = str(caught.value)
    assert WRONG[text] in told
    assert str(tmp_path / "rules.toml") in told
    assert "\n" not in told


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_rules(tmp_path / "rules.toml", named=True)
    monkeypatch.setenv("LLMTOP_CONFIG", str(tmp_path / "config.toml"))
    assert rules_path() == tmp_path / "rules.toml"
    assert load_rules() == built_in()
    with pytest.raises(ConfigError, match=r"--alert: rules\.alert_1\.when: column 6"):
        load_rules(alerts=["loss = 5"])


def test_the_number_of_rules_is_bounded() -> None:
    many = {f"r{n}": {"when": "loss > 1"} for n in range(1001)}
    with pytest.raises(ConfigError, match="more than 1000 rules"):
        merge([Layer("rules.toml", many)])
