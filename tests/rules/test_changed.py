"""What moved most in the other series when a rule fires."""

from __future__ import annotations

import math

import numpy as np
from judging import Trial, shipped

from llmtop.rules.changed import what_changed


def spiked(**moved: float) -> Trial:
    """A run in which the loss spikes, and at the same step what is named here."""
    rng = np.random.default_rng(3)
    trial = Trial(shipped("loss_spike"))
    for step in range(200):
        at = step == 180
        trial.log({
            "loss": 9.0 if at else 2.0 + 0.02 * rng.normal(),
            "grad_norm": moved.get("grad_norm", 1.0) if at else float(1 + 0.1 * rng.normal()),
            "learning_rate": moved.get("learning_rate", 1e-3 - 2e-6 * step)
            if step >= 180 else 1e-3 - 2e-6 * step,
            "data_time_seconds": moved.get("data_time_seconds", 0.1)
            if at else float(0.1 + 0.01 * rng.normal()),
            "gpu_sm_clock_hz": moved.get("gpu_sm_clock_hz", 1.5e9) if at else 1.5e9,
            "epoch": step / 100,
        })
    return trial


def test_the_furthest_three_come_first() -> None:
    trial = spiked(grad_norm=30.0, data_time_seconds=0.2, gpu_sm_clock_hz=1.0e9,
                   learning_rate=1e-2)
    (alert,) = trial.news
    names = [name for name, _ in alert.what_changed]
    assert len(names) == 3
    assert set(names) <= {"grad_norm", "gpu_sm_clock_hz", "learning_rate"}
    sizes = [abs(z) for _, z in alert.what_changed]
    assert sizes == sorted(sizes, reverse=True)
    assert dict(alert.what_changed)["gpu_sm_clock_hz"] < 0


def test_noise_and_schedules_did_not_move() -> None:
    (alert,) = spiked().news
    assert alert.what_changed == ()


def test_what_became_nan_moved_infinitely() -> None:
    (alert,) = spiked(grad_norm=math.nan).news
    assert alert.what_changed[0] == ("grad_norm", math.inf)


def test_a_moment_without_steps_is_found_by_time() -> None:
    trial = Trial([], phase="serve")
    for number in range(100):
        trial.log({"requests_waiting": 90.0 if number == 80 else 3.0 + number % 3}, step=None)
    moment = trial.run.started + 80
    assert what_changed(trial.run, (), -1, moment)[0][0] == "requests_waiting"
    assert what_changed(trial.run, ("requests_waiting",), -1, moment) == ()
    assert what_changed(trial.run, (), -1, moment - 20) == ()
