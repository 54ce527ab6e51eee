"""Which series tells a run's steps, and what moves from one step to the next are."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from training import Training

from llmtop.rules.steps import PAUSE_FACTOR, leading_series, step_times, without_pauses
from llmtop.store.points import Points


def lead(run: Training) -> str | None:
    found = leading_series(run.run)
    return None if found is None else found.name


def points(*pairs: tuple[int, float]) -> Points:
    steps = np.array([step for step, _ in pairs], np.int64)
    return Points(np.array([time for _, time in pairs], float), steps, np.zeros(len(pairs)))


def test_the_loss_leads_and_else_what_is_logged_most() -> None:
    run = Training()
    assert lead(run) is None
    run.log(range(5), names=("odd",))
    assert lead(run) == "odd"
    run.log(range(5, 20), names=("other",))
    assert lead(run) == "other"
    run.log(range(20, 25), names=("lr",))
    assert lead(run) == "lr"
    run.log(range(25, 30), names=("train/loss",))
    assert lead(run) == "train/loss"


def test_of_equal_ones_the_first_leads() -> None:
    run = Training()
    run.log(range(5), names=("b", "a"))
    assert lead(run) == "b"


def test_what_has_no_steps_or_is_derived_never_leads() -> None:
    run = Training()
    run.log([-1] * 9, names=("loss",))
    run.define("hits", "counter")
    run.log(range(9), names=("hits",))
    assert lead(run) is None
    run.log(range(9), names=("x",))
    assert run.derived("step_time_seconds").n > 0
    assert lead(run) == "x"


def test_the_lowest_rank_that_has_it_leads() -> None:
    run = Training(rank=1, world_size=2)
    run.log(range(50))
    found = leading_series(run.run)
    assert found is not None
    assert found.rank == 1
    run.begin(rank=0)
    run.log(range(3))
    found = leading_series(run.run)
    assert found is not None
    assert (len(run.store.runs), found.rank, found.n) == (1, 0, 3)


def test_only_the_current_attempt_leads() -> None:
    run = Training()
    run.log(range(30))
    run.end("failed")
    run.begin()
    run.log(range(3), names=("grad_norm",))
    found = leading_series(run.run)
    assert found is not None
    assert (found.name, found.attempt) == ("grad_norm", 2)


def test_moves_that_go_back_stand_still_or_take_no_time_say_nothing() -> None:
    moves = step_times(points(
        (0, 0.0), (1, 1.0), (1, 2.0), (0, 3.0), (-1, 3.5), (4, 5.0), (5, 5.0), (6, 4.0), (8, 9.0)
    ))  # fmt: skip
    assert moves.step.tolist() == [1, 4, 8]
    assert moves.gained.tolist() == [1, 4, 2]
    assert moves.passed.tolist() == [1.0, 2.0, 5.0]
    assert moves.seconds.tolist() == [1.0, 0.5, 2.5]
    assert moves.time.tolist() == [1.0, 5.0, 9.0]


def test_a_pause_is_longer_than_any_step() -> None:
    moves = step_times(points((0, 0.0), (1, 1.0), (2, 1.0 + PAUSE_FACTOR), (3, 100.0)))
    assert without_pauses(moves, 1.0).step.tolist() == [1, 2]
    # A gap over many steps is judged by what it is a step.
    wide = step_times(points((0, 0.0), (1000, 1000.0)))
    assert len(without_pauses(wide, 1.0).step) == 1


@given(st.lists(st.tuples(st.integers(-1, 50), st.floats(0, 1e6)), max_size=40))
def test_every_move_gains_steps_and_takes_time(pairs: list[tuple[int, float]]) -> None:
    moves = step_times(points(*pairs))
    assert (moves.gained > 0).all()
    assert (moves.passed > 0).all()
    assert len({len(column) for column in moves}) == 1
    assert all(math.isfinite(value) for value in moves.seconds.tolist())
