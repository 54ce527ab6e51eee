"""How far a run is and when it ends: an estimate from its recent steps, or nothing."""

from __future__ import annotations

import pytest
from training import Training

from llmtop.rules.progress import progress, steps_per_second


def test_a_steady_run_says_when_it_ends() -> None:
    run = Training(total_steps=1000)
    run.log(range(250), 2.0)
    found = progress(run.run, run.now)
    assert found.fraction == 0.25
    assert found.steps_per_second == pytest.approx(0.5, rel=1e-6)
    assert found.eta_seconds == pytest.approx(1500.0, rel=1e-6)


def test_the_time_left_runs_down_between_two_points_and_then_waits_for_the_next() -> None:
    run = Training(total_steps=100)
    run.log(range(50), 10.0)
    last = run.now
    found = [progress(run.run, last + since).eta_seconds for since in (0.0, 4.0, 10.0, 60.0)]
    assert found == pytest.approx([500.0, 496.0, 490.0, 490.0], rel=1e-6)


def test_nothing_is_known_of_a_run_without_a_total() -> None:
    run = Training()
    run.log(range(20))
    found = progress(run.run, run.now)
    assert (found.fraction, found.eta_seconds) == (None, None)
    assert found.steps_per_second == pytest.approx(1.0)


@pytest.mark.parametrize("steps", [[], [0], [0, 1], [-1] * 20])
def test_nothing_is_guessed_from_too_little(steps: list[int]) -> None:
    run = Training(total_steps=10)
    run.log(steps)
    found = progress(run.run, run.now)
    assert (found.eta_seconds, found.steps_per_second) == (None, None)
    assert found.fraction == ((steps[-1] + 1) / 10 if steps and steps[-1] >= 0 else None)


def test_a_fast_beginning_does_not_promise_a_fast_end() -> None:
    """A warm-up on short sequences, a resume that skips batches: the last ten minutes count."""
    run = Training(total_steps=10_000)
    run.log(range(3000), 0.01, a_commit=500)
    run.log(range(3000, 3700), 1.0, a_commit=500)
    assert steps_per_second(run.run) == pytest.approx(1.0, rel=0.01)
    assert progress(run.run, run.now).eta_seconds == pytest.approx(6300, rel=0.01)


def test_a_fast_beginning_within_the_last_minutes_is_no_reason_to_call_the_rest_a_pause() -> None:
    run = Training(total_steps=1000)
    run.log(range(40), 0.01)
    run.log(range(40, 140), 2.0)
    speed = steps_per_second(run.run)
    assert speed is not None
    # The steps of the beginning were steps, too.
    assert 0.5 <= speed < 0.75


def test_evaluations_slow_it_down_and_a_closed_lid_does_not() -> None:
    run = Training(total_steps=1000)
    for start in range(0, 100, 10):
        run.log(range(start, start + 10), [6.0, *[1.0] * 9])
    assert steps_per_second(run.run) == pytest.approx(100 / 150, rel=0.06)
    before = steps_per_second(run.run)
    run.log(range(100, 200), [7 * 3600.0, *[1.0] * 99])
    after = steps_per_second(run.run)
    assert before is not None
    assert after is not None
    assert after >= before


def test_slow_steps_that_are_rarer_than_ten_minutes_still_have_a_speed() -> None:
    run = Training(total_steps=100)
    run.log(range(10), 900.0)
    assert progress(run.run, run.now).eta_seconds == pytest.approx(90 * 900.0, rel=1e-6)


def test_a_stale_run_stands_still() -> None:
    run = Training(total_steps=100)
    run.log(range(50), 1.0)
    run.wait(5000.0, alive=False)
    assert run.run.state == "stale"
    assert progress(run.run, run.now).eta_seconds == pytest.approx(50.0, rel=1e-6)


def test_a_run_beyond_its_total_is_done_and_takes_no_time() -> None:
    run = Training(total_steps=100)
    run.log(range(130))
    found = progress(run.run, run.now)
    assert (found.fraction, found.eta_seconds) == (1.0, 0.0)
    run.end()
    assert progress(run.run, run.now + 99).eta_seconds == 0.0


def test_a_finished_run_short_of_its_total_shows_how_far_it_came() -> None:
    run = Training(total_steps=100)
    run.log(range(60))
    run.end()
    found = progress(run.run, run.now + 1000)
    assert found.fraction == 0.6
    assert found.eta_seconds == pytest.approx(40.0, rel=1e-6)


def test_a_second_attempt_has_a_speed_of_its_own() -> None:
    run = Training(total_steps=100)
    run.log(range(50), 1.0)
    run.end("failed")
    run.wait(100.0, alive=False)
    run.begin()
    run.log(range(20, 40), 4.0)
    found = progress(run.run, run.now)
    assert found.fraction == 0.4
    assert found.steps_per_second == pytest.approx(0.25, rel=1e-6)
    assert found.eta_seconds == pytest.approx(240.0, rel=1e-6)
