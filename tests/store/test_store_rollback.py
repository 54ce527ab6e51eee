"""Steps that go backwards: a rollback begins a new attempt, a reordering does not."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import T0, Session, samples
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtop.samples import Batch
from llmtop.store import Store
from llmtop.store.rollback import HOLD_SECONDS, REORDER_POINTS


@pytest.fixture
def session() -> Session:
    return Session(Store(memory_bytes=8 << 20))


def shape(session: Session, name: str = "loss") -> list[tuple[int, int, int, int]]:
    """Attempt, points, first and last step of each series of a name that has any."""
    return [
        (one.attempt, one.n, one.first.step, one.last.step)
        for one in session.run.find(name) if one.n
    ]  # fmt: skip


def test_going_back_to_a_checkpoint_is_a_new_attempt(session):
    session.train(0, 120)
    session.train(90, 200)
    assert shape(session) == [(1, 120, 0, 119), (2, 110, 90, 199)]
    assert session.run.step == 199
    assert [attempt.state for attempt in session.run.attempts] == ["restarted", "live"]
    assert session.run.attempts[1].first_step == 90
    assert session.run.restarts == 1


def test_one_step_a_commit_shows_the_rollback_at_once(session):
    session.train(0, 50, a_commit=1)
    session.log("loss", [1.0], steps=[20])
    session.commit()
    assert shape(session) == [(1, 50, 0, 49), (2, 1, 20, 20)]
    assert session.run.step == 20


def test_a_whole_log_with_many_restarts_in_one_commit(session):
    steps = [step for start in (0, 40, 0, 80, 20) for step in range(start, start + 100)]
    for name in ("loss", "lr"):
        session.log(name, np.ones(len(steps)), steps=steps)
    session.commit()
    assert [row[0] for row in shape(session)] == [1, 2, 3, 4, 5]
    assert [row[2:] for row in shape(session)] == [
        (0, 99), (40, 139), (0, 99), (80, 179), (20, 119)]  # fmt: skip
    assert sum(row[1] for row in shape(session)) == len(steps)


def test_all_series_of_a_session_go_back_together_whatever_they_prove(session):
    session.define("loss", "eval_loss", "gpu")
    for start in (0, 60):
        for step in range(start, start + 100):
            session.log("loss", [1.0], steps=[step])
            session.log("gpu", [1.0])
            if step % 50 == 0:
                session.log("eval_loss", [1.0], steps=[step])
        session.commit()
    assert shape(session) == [(1, 100, 0, 99), (2, 100, 60, 159)]
    assert shape(session, "eval_loss") == [(1, 2, 0, 50), (2, 2, 100, 150)]
    # What has no steps is the same process going on.
    assert shape(session, "gpu") == [(1, 200, -1, -1)]
    assert [one.name for one in session.run.latest("gpu")] == ["gpu"]


def test_the_points_of_one_log_call_stay_together(session):
    names = ["a", "b", "c"]
    session.define(*names)
    keys, steps = [], []
    for start in (0, 30):
        for step in range(start, start + 40):
            keys += [session.keys[name] for name in names]
            steps += [step] * 3
    batch = samples(keys, np.ones(len(keys)), steps=steps)
    session.store.apply(1, Batch(samples=batch, alive=("s1",)), T0)
    session.commit()
    for name in names:
        assert shape(session, name) == [(1, 40, 0, 39), (2, 40, 30, 69)]


def test_a_series_first_seen_at_the_rollback_belongs_to_the_new_attempt(session):
    session.train(0, 100)
    session.define("resumed_from")
    session.log("resumed_from", [1.0], steps=[60])
    session.train(60, 90)
    assert shape(session, "resumed_from") == [(2, 1, 60, 60)]
    assert session.run.attempt == 2


def test_a_rank_that_missed_an_attempt_joins_the_newest():
    store = Store(memory_bytes=8 << 20)
    first, second = (
        Session(store, key=str(k), rank=k, world_size=2, first_key=10 * k) for k in range(2)
    )
    first.train(0, 100)
    second.train(0, 100)
    first.train(50, 100)
    first.train(20, 100)
    second.train(20, 100)
    assert first.run.attempt == 3
    assert [one.attempt for one in first.run.find("loss", rank=1)] == [1, 3]


def test_threads_out_of_order_are_no_rollback(session):
    rng = np.random.default_rng(0)
    steps = np.argsort(np.arange(2000) + rng.random(2000) * 2.5)
    for part in np.array_split(steps, 50):
        session.log("loss", np.ones(len(part)), steps=part.tolist())
        session.commit(after=0.25)
    session.commit(after=HOLD_SECONDS)
    assert session.run.attempt == 1
    assert session.series("loss").n == 2000
    columns = session.series("loss").buckets("step", 0, 1999, 100)
    assert columns.n.sum() == pytest.approx(2000)
    assert not np.isnan(columns.mean).any()


def test_what_is_undecided_waits_and_is_never_lost(session):
    session.train(0, 20)
    session.log("loss", [1.0], steps=[18])
    session.commit(after=0.25)
    assert shape(session) == [(1, 20, 0, 19)]
    session.log("loss", [1.0, 1.0], steps=[20, 21])
    session.commit(after=0.25)
    assert shape(session) == [(1, 23, 0, 21)]


def test_waiting_ends_after_a_while_as_a_rollback(session):
    session.train(0, 20)
    session.log("loss", [1.0], steps=[18])
    session.commit(after=0.25)
    session.commit(after=HOLD_SECONDS)
    assert shape(session) == [(1, 20, 0, 19), (2, 1, 18, 18)]


@pytest.mark.parametrize("how", ["settle", "end"])
def test_waiting_ends_when_nothing_more_can_come(session, how):
    session.train(0, 20)
    session.log("loss", [1.0], steps=[18])
    if how == "end":
        session.end()
    session.commit(after=0.0, settle=how == "settle")
    assert shape(session)[1] == (2, 1, 18, 18)


def test_more_points_decide_before_the_time_is_up(session):
    session.train(0, 3)
    for _ in range(REORDER_POINTS + 1):
        session.log("loss", [1.0], steps=[0])
        session.commit(after=0.01)
    assert session.run.attempt == 2
    assert sum(row[1] for row in shape(session)) == 3 + REORDER_POINTS + 1


def test_an_evaluation_that_counts_its_own_batches_is_no_rollback(session):
    for epoch in range(5):
        session.train(epoch * 1000, epoch * 1000 + 1000, a_commit=100)
        session.train(0, 50, "eval/batch_loss", a_commit=10)
    # The first evaluation is on no clock but its own; the training loss speaks for the session.
    assert session.run.attempt == 1
    assert session.series("eval/batch_loss").n == 250
    assert session.series("loss").n == 5000


def test_ranks_that_go_back_one_after_the_other_are_one_attempt():
    store = Store(memory_bytes=8 << 20)
    ranks = [
        Session(store, key=str(k), rank=k, world_size=3, first_key=10 * k) for k in range(3)
    ]
    for session in ranks:
        session.train(0, 100)
    for session in ranks:
        session.train(50, 130)
    (run,) = store.runs
    assert run.attempt == 2
    assert {one.attempt: one.n for one in run.find("loss", rank=2)} == {1: 100, 2: 80}


def test_history_before_a_rollback_counts(session):
    from feeding import bucket_rows

    session.define("loss")
    rows = bucket_rows(0, np.ones(1000), per=10)
    session.store.apply(1, Batch(buckets=rows), T0)
    session.commit()
    session.train(500, 520)
    assert shape(session) == [(1, 1000, 0, 999), (2, 20, 500, 519)]


def test_attempts_are_bounded(session, monkeypatch):
    monkeypatch.setattr("llmtop.store.attempts.MAX_ATTEMPTS", 3)
    for _ in range(6):
        session.train(0, 30)
    assert session.run.attempt == 3
    assert sum(row[1] for row in shape(session)) == 180


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 120)), min_size=1, max_size=8),
    st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_no_point_is_lost_and_steps_rise_within_an_attempt(stretches, a_commit):
    session = Session(Store(memory_bytes=8 << 20))
    logged = []
    for start, length in stretches:
        logged += range(start, start + length)
        session.train(start, start + length, a_commit=a_commit)
    session.commit(settle=True)
    series = session.run.find("loss")
    kept = [step for one in series for step in one.window(10_000).step.tolist()]
    assert kept == logged
    for one in series:
        steps = one.window(10_000).step
        falls = np.flatnonzero(np.diff(steps) < 0)
        # Only what looks like reordering, or is far below the session's clock, stays.
        assert all(steps[k + 1 :][: REORDER_POINTS + 1].max() >= steps[k] for k in falls)
