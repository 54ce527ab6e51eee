"""The built-in rules: each fires on what it is for, not on what is nearly that, not on health."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from judging import Trial, shipped
from stories import CASES, noise

from llmtop.rules.detectors.creep import theil_sen
from llmtop.rules.load import built_in

RULES = {one.name: one for one in built_in()}


def trial_of(name: str) -> Trial:
    case = CASES[name]
    return Trial([replace(RULES[name], enabled=True)], phase=case.phase, **case.about)


def test_every_rule_has_a_story() -> None:
    assert CASES.keys() == RULES.keys()


@pytest.mark.parametrize("name", CASES)
def test_it_fires(name: str) -> None:
    trial = trial_of(name)
    CASES[name].story(trial, True)
    assert trial.fired == [name]
    told = [one for one in trial.news if one.fired_at is not None]
    assert told, "somebody must be told of it"
    assert "--" not in told[0].message
    assert told[0].severity == RULES[name].severity


@pytest.mark.parametrize("name", CASES)
def test_it_does_not_fire_on_what_is_nearly_that(name: str) -> None:
    trial = trial_of(name)
    CASES[name].story(trial, False)
    assert trial.fired == []


def test_every_rule_says_what_to_do() -> None:
    for rule in RULES.values():
        assert len(rule.hint) > 30, rule.name
        assert "{run}" in rule.message or "{device}" in rule.message, rule.name
        assert not rule.action
    assert [name for name, rule in RULES.items() if not rule.enabled] == ["slo_burn"]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_training_fires_nothing(seed: int) -> None:
    """Warm-up, noise with a long tail, evaluations that take a minute, checkpoints, the end."""
    rng = np.random.default_rng(seed)
    trial = Trial(shipped(), total_steps=600)
    for step in range(600):
        warm = min(step / 100, 1.0)
        pause = 0.0
        if step % 150 == 149:
            trial.event("saving checkpoint")
            pause = 50.0
        values = {
            "loss": 2.0 + 8.0 / (1 + 0.05 * step) + 0.05 * rng.standard_t(5),
            "grad_norm": float(np.exp(rng.normal(0.5 - 0.5 * warm, 0.3))),
            "learning_rate": 3e-4 * warm * (1 - step / 700),
            "tokens_per_second": (10_000 if step < 5 else 40_000) * rng.normal(1, 0.05),
            "step_time_seconds": 1.0 + 0.1 * abs(rng.normal()),
            "data_time_seconds": 0.05 * abs(rng.normal()),
            "loss_scale": 65536.0 / 2 ** min(step, 4),
            "memory_used_bytes": 60e9 + 1e9 * min(step / 50, 1) + 1e8 * rng.normal(),
            "gpu_memory_total_bytes": 80e9,
        }
        if step % 100 == 99:
            values["eval/loss"] = 2.2 + 8.0 / (1 + 0.05 * step) + 0.01 * rng.normal()
        trial.log(values)
        if pause:
            trial.wait(pause, every=10)
    trial.end("finished")
    trial.wait(120, alive=False)
    assert trial.fired == []


def test_a_healthy_server_fires_nothing() -> None:
    rng = np.random.default_rng(4)
    trial = Trial(shipped(), phase="serve")
    for number in range(320):
        idle = 150 < number < 220
        busy = 0.0 if idle else 1.0
        trial.log({
            "requests": busy * 3.0, "errors": float(rng.random() < 0.01),
            "ttft_seconds": [] if idle else rng.lognormal(-1, 0.5, 5).tolist(),
            "tpot_seconds": [] if idle else rng.lognormal(-3.5, 0.3, 5).tolist(),
            "e2e_seconds": [] if idle else rng.lognormal(1, 0.5, 5).tolist(),
            "requests_running": busy * 12.0, "requests_waiting": busy * float(rng.poisson(2)),
            "kv_cache_usage": busy * float(rng.uniform(0.3, 0.97)),
            "generated_tokens": busy * 900.0, "prefix_cache_hits": busy * 700.0,
            "prefix_cache_queries": busy * 1000.0, "preemptions": 0.0,
        }, step=None, every=2)
    assert trial.fired == []


def test_noisy_evaluations_on_a_plateau_are_no_overfitting() -> None:
    trial = Trial(shipped("overfitting"))
    rng = np.random.default_rng(5)
    for _ in range(40):
        trial.feed("loss", list(2 + rng.normal(0, 0.08, 20)))
        trial.put({"eval/loss": 2.08 + rng.normal(0, 0.08)}, step=trial.step)
        trial.judge()
    assert len([one for one in trial.news if one.state == "firing"]) <= 1


# ---- what the detectors promise ----


def test_a_history_that_is_still_arriving_is_no_hang() -> None:
    trial = Trial(shipped("step_stalled", "step_hung"))
    start = trial.now
    trial.now = start + 900
    for chunk in range(0, 900, 90):
        for step in range(chunk, chunk + 90):
            trial.put({"loss": 2.0}, step=step, time=start + step)
        trial.judge()
        trial.now += 0.5
    assert trial.fired == []
    trial.wait(400)
    assert {one.rule for one in trial.alerts.active} == {"step_stalled", "step_hung"}


def test_nan_is_told_with_the_step_where_it_began() -> None:
    trial = Trial(shipped("loss_nonfinite"))
    trial.feed("loss", [2.0, float("nan"), *[2.0] * 60])
    for step in range(62, 90):
        trial.put({"loss": 2.0 if step < 65 else float("nan")}, step=step)
    trial.judge()
    assert [one.step for one in trial.news] == [1, 1, 65]


def test_a_second_spike_does_not_hide_behind_the_first() -> None:
    trial = Trial(shipped("loss_spike"))
    trial.feed("loss", [*noise(1, 130), 40.0, *noise(2, 40), 2.8, *noise(3, 30)])
    assert [one.step for one in reversed(trial.alerts.history)] == [130, 171]


def test_a_new_level_is_no_spike_for_ever() -> None:
    trial = Trial(shipped("loss_spike"))
    trial.feed("loss", [*noise(1, 130), *noise(2, 400, 3.0)])
    assert [one.state for one in trial.news] == ["firing", "resolved"]


def test_a_spike_in_the_middle_of_a_whole_log_is_found_where_it_was() -> None:
    trial = Trial(shipped("loss_spike"), source="file")
    values = [*noise(1, 200), 4.0, *noise(2, 300)]
    for step, value in enumerate(values):
        trial.put({"loss": value}, step=step)
        trial.now += 1
    trial.now -= 1
    told = trial.judge()
    assert [(one.step, one.state) for one in told] == [(200, "resolved")]
    assert told[0].since == trial.run.started + 200


def test_a_run_that_comes_down_again_is_not_diverged() -> None:
    trial = Trial(shipped("loss_diverged"))
    trial.feed("loss", [*noise(1, 150), *(2 + 8 * 0.95**n for n in range(120)), *noise(2, 200)])
    assert trial.fired == []


def test_a_loss_ten_times_what_it_ever_was_needs_no_two_hundred_steps() -> None:
    trial = Trial(shipped("loss_diverged"))
    trial.feed("loss", [*noise(1, 150), 25.0, 60.0, 300.0])
    assert trial.active == ["loss_diverged"]


def test_the_hang_names_the_ranks_that_stopped_first() -> None:
    trial = Trial(shipped("step_hung"), ranks=4)
    for step in range(30):
        for rank in range(4):
            if not (rank == 3 and step > 27):
                trial.put({"loss": 2.0}, step=step, rank=rank)
        trial.judge()
        trial.now += 1
    trial.wait(400)
    (alert,) = trial.alerts.active
    assert "rank 3 stopped at step 27, the furthest at 29" in alert.message
    for rank in range(4):
        trial.put({"loss": 2.0}, step=30, rank=rank)
    trial.judge()
    assert not trial.active


def test_an_old_log_that_was_copied_just_now_does_not_hang() -> None:
    trial = Trial(shipped("step_stalled", "step_hung"), source="file")
    for step in range(60):
        trial.put({"loss": 2.0}, step=step)
        trial.now += 1
    trial.now += 86_400 * 900
    trial.put({"other": 1.0}, step=60)
    trial.judge()
    trial.wait(600)
    assert trial.run.state == "live"
    assert trial.fired == []


def test_evaluations_that_recur_are_the_runs_habit() -> None:
    trial = Trial(shipped("step_stalled"))
    for _ in range(4):
        trial.feed("loss", noise(1, 40))
        trial.wait(80, every=10)
    # Nothing told of the first one; once it is known to recur it is no alarm.
    assert len([one for one in trial.news if one.state == "firing"]) <= 2
    assert trial.news[-1].state == "resolved"


def test_the_straggler_is_named_with_how_far_it_is_behind() -> None:
    trial = trial_of("straggler")
    CASES["straggler"].story(trial, True)
    (alert,) = trial.alerts.active
    assert (alert.rank, alert.value) == (2, pytest.approx(1.7))
    assert "1.7 times the fastest rank's" in alert.message


def test_the_slope_is_that_of_the_middle_pair() -> None:
    x = np.arange(50.0)
    y = 3 * x
    y[10] = 1e6
    slope, rising = theil_sen(x, y)
    assert slope == pytest.approx(3.0)
    assert rising > 0.95
