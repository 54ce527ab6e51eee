"""The life of an alert: pending, firing, resolved, no data; seen or silenced; after a restart."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import T0, Trial, rule, rules_of

from llmtop.rules.alerts import MAX_ACTIVE, MAX_HISTORY, Alerts
from llmtop.rules.saved import MAX_SAVED, Saved, read_saved, state_path, write_saved
from llmtop.rules.states import NO_DATA_SECONDS, Life, advance


def states(trial: Trial) -> list[tuple[str, str]]:
    return [(one.rule, one.state) for one in trial.news]


def test_it_fires_at_once_without_a_wait_and_is_over_when_it_does_not_hold() -> None:
    trial = Trial(rule("loss > 5", message="{value} on {run} at {step}", hint="look"))
    trial.feed("loss", [1, 9, 9, 2])
    assert states(trial) == [("it", "firing"), ("it", "resolved")]
    fired, over = trial.news
    assert (fired.since, fired.fired_at, fired.step) == (T0 + 1, T0 + 1, 1)
    assert (fired.message, fired.hint, fired.threshold) == ("9 on gpt at 1", "look", "loss > 5")
    assert (over.since, over.resolved_at, over.value) == (T0 + 1, T0 + 3, 9)
    assert (trial.alerts.active, trial.alerts.history) == ([], [over])


def test_it_waits_and_a_short_excess_is_forgotten() -> None:
    trial = Trial(rule("loss > 5", wait="10s"))
    trial.feed("loss", [9] * 5)
    assert [one.state for one in trial.alerts.pending] == ["pending"]
    trial.feed("loss", [1, *[9] * 10])
    assert (trial.news, trial.alerts.state("it")) == ([], "pending")
    trial.feed("loss", [9])
    assert states(trial) == [("it", "firing")]
    assert trial.news[0].since == T0 + 6
    assert trial.news[0].fired_at == T0 + 16


def test_waiting_needs_no_new_points() -> None:
    trial = Trial(rule("loss > 5", wait="1m"))
    trial.feed("loss", [9])
    trial.wait(58)
    assert not trial.news
    trial.wait(3)
    assert states(trial) == [("it", "firing")]


def test_a_clear_condition_keeps_it_from_flapping() -> None:
    trial = Trial(rule("kv_cache_usage > 95 %", clear="kv_cache_usage < 85 %"))
    trial.feed("kv_cache_usage", [0.96, 0.94, 0.96, 0.9, 0.86, 0.84])
    assert states(trial) == [("it", "firing"), ("it", "resolved")]
    assert trial.news[-1].resolved_at == T0 + 5


def test_it_stays_for_keep_firing_for_and_rests_for_its_cooldown() -> None:
    trial = Trial(rule("loss > 5", keep_firing_for="5s", cooldown="10s"))
    trial.feed("loss", [9, 1, 1, 9, 1, 1, 1, 1])
    assert states(trial) == [("it", "firing")]
    trial.feed("loss", [1, 9, 9, 9])
    assert states(trial) == [("it", "firing"), ("it", "resolved")]
    trial.feed("loss", [9] * 8)
    assert states(trial)[2:] == [("it", "firing")]


def test_without_data_it_holds_and_then_is_over_for_that_reason() -> None:
    trial = Trial(rule("mean(loss, 10s) > 5"))
    trial.feed("loss", [9])
    trial.wait(NO_DATA_SECONDS - 5)
    assert states(trial) == [("it", "firing")]
    trial.wait(30)
    assert trial.news[-1].state == "resolved"
    assert trial.news[-1].no_data
    assert trial.alerts.state("it") == "no data"


def test_each_rank_is_an_alert_of_its_own() -> None:
    trial = Trial(rule("loss > 5", per="rank", message="rank {rank}"), ranks=3)
    for rank, loss in enumerate((1.0, 9.0, 8.0)):
        trial.put({"loss": loss}, step=0, rank=rank)
    trial.judge()
    assert {(one.rank, one.message) for one in trial.alerts.active} == {
        (1, "rank 1"), (2, "rank 2")}
    assert len({one.key for one in trial.alerts.active}) == 2


def test_severity_orders_what_is_active() -> None:
    trial = Trial(rules_of(
        a={"when": "loss > 1", "severity": "info"}, b={"when": "loss > 1", "severity": "critical"},
        c={"when": "loss > 1"}))
    trial.feed("loss", [9])
    assert trial.active == ["b", "c", "a"]


def test_a_rule_is_not_judged_for_other_phases_nor_when_it_is_off() -> None:
    trial = Trial(rules_of(a={"when": "loss > 1", "phases": ["serve"]},
                           b={"when": "loss > 1", "enabled": False}))
    trial.feed("loss", [9])
    assert not trial.news
    assert trial.alerts.state("b") == "off"


def test_of_a_run_that_is_over_time_stands_still() -> None:
    trial = Trial(rule("age(loss) > 10s", wait="5s"))
    trial.feed("loss", [9])
    trial.end("finished")
    trial.wait(600, alive=False)
    assert not trial.news


def test_a_log_of_long_ago_is_judged_at_its_own_time() -> None:
    trial = Trial(rule("age(loss) > 10s"), source="file")
    trial.put({"loss": 3.0}, step=1)
    trial.now += 86_400
    trial.judge()
    trial.wait(60, alive=False)
    assert not trial.news


def test_what_was_seen_or_silenced_is_not_told() -> None:
    trial = Trial(rule("loss > 5"))
    trial.feed("loss", [9])
    (alert,) = trial.alerts.active
    trial.alerts.acknowledge(alert.key)
    trial.feed("loss", [1])
    assert trial.alerts.history[0].acknowledged
    assert len(trial.news) == 1

    trial.feed("loss", [9])
    trial.alerts.silence(alert.key, 60)
    trial.feed("loss", [1])
    assert len(trial.news) == 2
    assert not trial.alerts.active


def test_nan_fires_in_the_pump_that_brings_it() -> None:
    trial = Trial(rule("nonfinite(loss, 20 points) > 0"))
    trial.feed("loss", [2.0] * 5)
    assert [one.state for one in trial.log({"loss": math.nan})] == ["firing"]


def test_nothing_is_evaluated_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmtop.rules import watching

    asked = []
    real = watching.judge
    monkeypatch.setattr(watching, "judge", lambda *of: (asked.append(1), real(*of))[1])
    trial = Trial(rule("loss > 5"))
    trial.feed("loss", [1] * 3)
    before = len(asked)
    trial.put({"accuracy": 1.0}, step=3)
    trial.judge()
    trial.put({"accuracy": 1.0}, step=4)
    trial.now += 0.2
    seen = len(asked)
    trial.judge()
    assert before == 3
    assert len(asked) == seen


def test_what_is_kept_is_bounded() -> None:
    trial = Trial(rules_of(**{f"r{n}": {"when": "loss > 5"} for n in range(MAX_HISTORY + 5)}))
    trial.feed("loss", [9, 1, 9, 1])
    assert len(trial.alerts.history) == MAX_HISTORY
    many = Trial(rule("loss > 5", per="rank"), ranks=1)
    for rank in range(1, MAX_ACTIVE + 3):
        many.introduce(rank)
        many.put({"loss": 9.0}, rank=rank)
    many.judge()
    assert len(many.alerts.active) == MAX_ACTIVE
    assert many.alerts.left_out == 2


HOLDS = st.lists(st.tuples(st.sampled_from([True, False, None]), st.floats(0.1, 400)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(HOLDS, st.sampled_from([0.0, 20.0]), st.sampled_from([0.0, 20.0]),
       st.sampled_from([0.0, 50.0]))
def test_lives_are_orderly(
    holds: list[tuple[bool | None, float]], wait: float, keep: float, cooldown: float
) -> None:
    (made,) = rule("loss > 5", wait=f"{wait}s", keep_firing_for=f"{keep}s",
                   cooldown=f"{cooldown}s")
    life, now, open_since, ended = Life(), T0, None, -math.inf
    for held, passed in holds:
        now += passed
        change = advance(life, made, held, None, now)
        if change == "fired":
            assert open_since is None
            assert held
            assert now - life.since >= wait
            assert life.since >= ended + cooldown
            open_since = now
        if change == "resolved":
            assert open_since is not None
            assert held is not True
            assert now - life.last_true >= keep or life.no_data
            open_since, ended = None, now
        assert (life.phase == "firing") == (open_since is not None)


# ---- what is remembered ----


def restarted(path: Path, when: str, values: list[float], **more: object) -> Trial:
    trial = Trial(Alerts(rule(when, **more), path=path))
    trial.feed("loss", values)
    return trial


def test_a_restart_does_not_tell_it_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "alerts.json"
    first = restarted(path, "loss > 5", [1, 9, 9])
    first.alerts.acknowledge(first.alerts.active[0].key)
    first.alerts.save()
    again = restarted(path, "loss > 5", [1, 9, 9])
    assert not again.news
    (alert,) = again.alerts.active
    assert alert.since == first.alerts.active[0].since
    assert alert.acknowledged
    again.feed("loss", [1, 1])
    again.alerts.save()
    third = restarted(path, "loss > 5", [1, 9, 9, 1, 1])
    assert not third.news
    third.feed("loss", [9])
    assert [one.state for one in third.news] == ["firing"]


def test_when_it_was_last_seen_firing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    gone = restarted(path, "loss > 5", [9])
    gone.alerts.save()
    (key,) = read_saved(path, T0)
    at_first = read_saved(path, T0)[key].seen
    gone.feed("loss", [9] * 60)
    gone.alerts.save()
    assert read_saved(path, T0)[key].seen == at_first
    gone.alerts.save(leaving=True)
    assert read_saved(path, T0)[key].seen > at_first + 30
    left = path.read_text()
    # A monitor that does not see it says nothing of it.
    other = Trial(Alerts(rule("loss > 5"), path=path), now=T0 + 3600)
    other.feed("other", [1])
    other.alerts.save(leaving=True)
    assert path.read_text() == left


def test_what_goes_on_firing_is_said_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    trial = restarted(path, "loss > 5", [9] * 1000)
    (saved,) = read_saved(path, T0).values()
    assert saved.seen > saved.fired_at + 500
    assert len(trial.news) == 1


def test_another_run_of_that_name_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    restarted(path, "loss > 5", [9]).alerts.save()
    later = Trial(Alerts(rule("loss > 5"), path=path), now=T0 + 3600)
    later.feed("loss", [9])
    assert [one.state for one in later.news] == ["firing"]


def test_a_wait_that_was_over_is_not_waited_for_again(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    restarted(path, "loss > 5", [9] * 40, wait="30s").alerts.save()
    again = restarted(path, "loss > 5", [9] * 40, wait="30s")
    assert not again.news
    assert again.active == ["it"]


def test_nothing_is_written_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    restarted(state_path(), "loss > 5", [9]).alerts.save()
    assert (tmp_path / "llmtop" / "alerts.json").exists()
    (tmp_path / "llmtop" / "alerts.json").unlink()
    trial = Trial(rule("loss > 5"))
    trial.feed("loss", [9])
    trial.alerts.save()
    assert not list((tmp_path / "llmtop").iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 9}', '{"version": 1}',
                                  '{"version": 1, "alerts": {"a": 3}}', "[" * 100_000])
def test_a_damaged_file_is_no_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "alerts.json"
    path.write_text(text)
    assert read_saved(path, T0) == {}
    trial = restarted(path, "loss > 5", [9])
    assert len(trial.news) == 1
    trial.alerts.save()
    assert len(read_saved(path, T0)) == 1


def test_the_file_is_bounded_and_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    many = {str(n): Saved(T0 + n, T0 + n) for n in range(MAX_SAVED + 10)}
    assert write_saved(path, many) == ""
    kept = read_saved(path, T0)
    assert len(kept) == MAX_SAVED
    assert "0" not in kept
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text())["version"] == 1
    assert read_saved(path, T0 + 30 * 86_400) == {}
    blocked = tmp_path / "file"
    blocked.write_text("")
    trial = restarted(blocked / "alerts.json", "loss > 5", [9])
    trial.alerts.save()
    assert trial.alerts.problem == f"{blocked / 'alerts.json'}: file exists"
