"""Step time and throughput, from nothing but when which step was logged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training import Training

from llmtop.store.runs import HOST_PHASE

STEP_TIME, TOKENS, ROWS = "step_time_seconds", "tokens_per_second", "samples_per_second"


def test_every_step_has_its_time_and_no_more() -> None:
    run = Training()
    run.log(range(20), [0.5 + 0.01 * at for at in range(20)])
    assert run.points(STEP_TIME) == [(at, round(0.5 + 0.01 * at, 5)) for at in range(1, 20)]
    series = run.derived(STEP_TIME)
    assert (series.unit, series.better, series.derived) == ("seconds", "down", True)
    assert series.last is not None
    assert series.last.time == run.now


def test_throughput_needs_to_know_what_a_step_is_worth() -> None:
    run = Training(tags={"tokens_per_step": 4096, "samples_per_step": 8.0})
    run.log(range(10), 0.5)
    assert run.points(TOKENS) == [(at, 8192.0) for at in range(1, 10)]
    assert run.points(ROWS) == [(at, 16.0) for at in range(1, 10)]
    plain = Training()
    plain.log(range(10), 0.5)
    assert plain.run.find(TOKENS) == []


@pytest.mark.parametrize("worth", [0, -5, "many", None, float("inf"), float("nan"), [4096]])
def test_a_worth_that_is_none_derives_no_throughput(worth: object) -> None:
    run = Training(tags={"tokens_per_step": worth})
    run.log(range(10))
    assert run.run.find(TOKENS) == []
    assert len(run.points(STEP_TIME)) == 9


def test_steps_that_are_logged_now_and_then_share_the_time_between() -> None:
    run = Training(tags={"tokens_per_step": 100})
    run.log(range(0, 100, 10), 5.0)
    assert run.points(STEP_TIME) == [(step, 0.5) for step in range(10, 100, 10)]
    assert run.points(TOKENS) == [(step, 200.0) for step in range(10, 100, 10)]


def test_a_pause_is_no_step_time() -> None:
    """An evaluation, a checkpoint, a lid that was closed."""
    run = Training()
    run.log(range(30))
    run.log(range(30, 40), [3600.0, *[1.0] * 9])
    assert run.points(STEP_TIME) == [(step, 1.0) for step in range(1, 40) if step != 30]


def test_a_run_that_becomes_slower_is_no_pause() -> None:
    run = Training()
    run.log(range(30), 0.1)
    run.log(range(30, 60), 1.5)
    assert run.points(STEP_TIME)[-30:] == [(step, 1.5) for step in range(30, 60)]
    # Even thirty times slower, once that is what is usual.
    run.log(range(60, 200), 45.0)
    assert run.points(STEP_TIME)[-1] == (199, 45.0)


def test_what_a_run_logs_itself_is_not_derived() -> None:
    run = Training(tags={"tokens_per_step": 4096})
    run.log(range(20), names=("loss", "step_time"))
    assert [one.derived for one in run.run.find(STEP_TIME)] == [False]
    assert len(run.points(TOKENS)) == 19
    both = Training(tags={"tokens_per_step": 4096})
    both.log(range(20), names=("loss", "tok/sec", "iter_time"))
    assert not any(one.derived for one in both.run.series)


def test_nothing_is_derived_before_a_run_has_logged_what_it_logs() -> None:
    run = Training()
    run.log(range(3))
    assert run.run.find(STEP_TIME) == []
    run.log(range(3, 4))
    assert [step for step, _ in run.points(STEP_TIME)] == [1, 2, 3]


@pytest.mark.parametrize("about", [
    {"phase": "serve"}, {"phase": HOST_PHASE}, {"tags": {"steps": "record"}},
])  # fmt: skip
def test_what_has_no_steps_of_its_own_gets_no_step_time(about: dict[str, object]) -> None:
    run = Training(**about)
    run.log(range(20))
    assert run.run.find(STEP_TIME) == []


def test_samples_without_steps_say_nothing() -> None:
    run = Training()
    run.log([-1] * 20, names=("loss",))
    assert run.run.find(STEP_TIME) == []
    run.log(range(8))
    assert [step for step, _ in run.points(STEP_TIME)] == list(range(1, 8))


def test_a_process_that_is_started_again_begins_anew() -> None:
    """The time between the last step of one process and the first of the next is no step's."""
    run = Training()
    run.log(range(20), 1.0)
    run.end("failed")
    run.wait(500.0, alive=False)
    run.begin()
    run.log(range(10, 30), 2.0)
    assert run.run.attempt == 2
    assert run.points(STEP_TIME, 1) == [(step, 1.0) for step in range(1, 20)]
    assert run.points(STEP_TIME, 2) == [(step, 2.0) for step in range(11, 30)]


def test_a_rollback_within_a_process_begins_anew() -> None:
    run = Training()
    run.log(range(40), 1.0)
    run.log(range(20, 60), 3.0)
    run.derive(settle=True)
    assert run.run.attempt == 2
    assert run.points(STEP_TIME, 1) == [(step, 1.0) for step in range(1, 40)]
    assert run.points(STEP_TIME, 2) == [(step, 3.0) for step in range(21, 60)]


def test_ids_of_what_grew_are_told() -> None:
    run = Training()
    run.log(range(7))
    assert run.grew == {run.derived(STEP_TIME).id}
    run.derive()
    assert run.grew == frozenset()


def test_a_store_that_is_full_is_left_alone() -> None:
    run = Training()
    while run.store.add_series(run.run, "filler") is not None:
        pass
    run.log(range(20))
    assert run.run.find(STEP_TIME) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.05, 0.15), min_size=8, max_size=60), st.integers(1, 20),
       st.integers(1, 5))  # fmt: skip
def test_how_samples_are_cut_into_commits_changes_nothing(
    seconds: list[float], a_commit: int, stride: int
) -> None:
    steps = range(0, len(seconds) * stride, stride)
    whole, cut = Training(), Training()
    whole.log(steps, seconds, a_commit=1000)
    cut.log(steps, seconds, a_commit=a_commit)
    assert whole.points(STEP_TIME) == cut.points(STEP_TIME)
    values = [value for _, value in whole.points(STEP_TIME)]
    assert values == pytest.approx(np.array(seconds[1:]) / stride, abs=1e-5)
