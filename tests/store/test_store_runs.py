"""Runs: who joins whom, what a restart is, and when a run is stale or over."""

from __future__ import annotations

import pytest
from feeding import T0, Session

from llmtop.samples import Batch, Event, RunInfo
from llmtop.store import STALE_SECONDS, Store
from llmtop.store.runs import MAX_EVENTS


@pytest.fixture
def store() -> Store:
    return Store(memory_bytes=8 << 20)


def test_a_run_says_what_its_session_said(store):
    info = RunInfo("k", "pretrain", host="node-1", pid=42, rank=0, world_size=8, started=T0 - 60,
                   total_steps=1000, tags={"tokens_per_step": 2048})
    store.apply(3, Batch(runs=(info,), alive=("k",)), T0)
    store.commit(T0)
    (run,) = store.runs
    assert (run.name, run.host, run.pid, run.phase, run.world_size) == (
        "pretrain", "node-1", 42, "train", 8)
    assert (run.started, run.total_steps, run.tags) == (T0 - 60, 1000, {"tokens_per_step": 2048})
    assert (run.attempt, run.restarts, run.state, run.step) == (1, 0, "live", -1)
    assert run.last_seen == T0


def test_series_know_the_vocabulary_and_are_found_by_either_name(store):
    session = Session(store)
    session.log("train/loss", [2.0], steps=[7])
    session.log("my_own", [2.0])
    session.commit()
    run = session.run
    (loss,) = run.find("loss")
    assert loss.metric is not None
    assert run.find("train/loss") == run.find(loss.metric) == [loss]
    assert (loss.name, loss.better, loss.kind, loss.rank, loss.attempt) == (
        "train/loss", "down", "gauge", None, 1)
    assert run.find("my_own")[0].metric is None
    assert run.find("loss", rank=3) == run.find("loss", attempt=2) == run.find("nothing") == []
    assert run.step == 7


def test_a_silent_run_goes_stale_and_comes_back(store):
    session = Session(store)
    session.train(0, 30)
    run = session.run
    seen = session.now
    before = run.version, store.version
    store.tick(seen + STALE_SECONDS - 1)
    assert run.state == "live"
    store.tick(seen + STALE_SECONDS + 1)
    assert run.state == "stale"
    assert run.version > before[0]
    assert store.version > before[1]
    assert run.attempts[-1].state == "live"
    store.apply(1, Batch(alive=("s1",)), seen + 20)
    store.commit(seen + 20)
    assert run.state == "live"
    assert run.last_seen == seen + 20


def test_a_run_that_logs_rarely_is_not_stale_between_two_steps(store):
    session = Session(store)
    for step in range(20):
        session.log("loss", [1.0], steps=[step])
        session.commit(after=60.0)
    store.tick(session.now + 30)
    assert session.run.state == "live"
    store.tick(session.now + 600)
    assert session.run.state == "stale"


@pytest.mark.parametrize("reason", ["finished", "failed", "died"])
def test_an_end_is_kept_through_silence_and_late_samples(store, reason):
    session = Session(store)
    session.train(0, 20)
    session.log("loss", [1.0], steps=[20])
    session.end(reason, "because")
    store.commit(session.now)
    store.tick(session.now + 100)
    run = session.run
    assert (run.state, run.reason, run.step) == (reason, "because", 20)
    assert run.attempts[-1].state == reason


def test_one_who_was_taken_for_dead_lives_when_heard_again(store):
    session = Session(store)
    session.train(0, 20)
    session.end("died")
    assert session.run.state == "died"
    session.train(20, 30)
    assert session.run.state == "live"
    assert session.run.attempt == 1
    session.end("finished")
    store.apply(1, Batch(alive=("s1",)), session.now)
    store.commit(session.now)
    assert session.run.state == "finished"


def test_a_process_that_starts_again_is_a_new_attempt_and_nothing_is_lost(store):
    first = Session(store)
    first.train(0, 100)
    first.end("failed", "out of memory")
    second = Session(store, key="s2", now=first.now + 30, first_key=10)
    (run,) = store.runs
    assert (run.attempt, run.restarts, run.state, run.reason, run.step) == (2, 1, "live", "", -1)
    second.train(50, 80)
    assert [attempt.state for attempt in run.attempts] == ["failed", "live"]
    assert [attempt.first_step for attempt in run.attempts] == [0, 50]
    assert run.attempts[1].started == second.now - 3
    old, new = run.find("loss")
    assert (old.attempt, old.n, new.attempt, new.n) == (1, 100, 2, 30)
    assert run.find("loss", attempt=2) == run.latest("loss") == [new]
    assert run.step == 79


def test_a_new_process_takes_over_from_a_silent_one(store):
    first = Session(store)
    first.train(0, 30)
    Session(store, key="s2", now=first.now + 120, first_key=10)
    (run,) = store.runs
    assert [attempt.state for attempt in run.attempts] == ["restarted", "live"]


def test_a_live_process_of_the_same_name_is_a_run_of_its_own(store):
    Session(store, key="a", first_key=0)
    Session(store, key="b", first_key=10)
    third = Session(store, key="c", first_key=20)
    assert [run.name for run in store.runs] == ["demo", "demo #2", "demo #3"]
    third.end()
    Session(store, key="d", first_key=30, now=T0 + 1)
    assert len(store.runs) == 3
    assert [run.attempt for run in store.runs] == [1, 1, 2]


@pytest.mark.parametrize("other", [{"phase": "eval"}, {"name": "other"}])
def test_another_phase_or_name_is_another_run(store, other):
    Session(store).end()
    Session(store, key="b", first_key=10, **other)
    assert len(store.runs) == 2


def test_ranks_of_one_world_are_one_run_and_come_back_as_one_attempt(store):
    def start(generation: int, now: float) -> list[Session]:
        return [
            Session(store, key=f"g{generation}r{rank}", rank=rank, world_size=4, now=now,
                    first_key=100 * generation + 10 * rank)
            for rank in range(4)
        ]  # fmt: skip

    ranks = start(1, T0)
    for session in ranks:
        session.train(0, 20 + 10 * session.run.sessions[0].rank)
    (run,) = store.runs
    assert sorted(run.ranks) == [0, 1, 2, 3]
    assert len(run.find("loss")) == 4
    assert [series.rank for series in run.find("loss", rank=2)] == [2]
    ranks[2].train(20, 50)
    assert (run.step, run.ranks[2].step, run.ranks[0].step) == (49, 49, 19)
    for session in ranks:
        session.end("died")
    assert run.state == "died"
    again = start(2, T0 + 1000)
    assert store.runs == [run]
    assert run.attempt == 2
    for session in again:
        session.train(10, 20)
    assert run.attempt == 2
    assert {series.attempt for series in run.latest("loss")} == {2}
    assert len(run.find("loss")) == 8


def test_a_rank_never_seen_begins_a_new_attempt_of_a_run_that_is_over(store):
    Session(store, key="a", rank=1, world_size=2).end("died")
    Session(store, key="b", rank=0, world_size=2, first_key=10, now=T0 + 60)
    (run,) = store.runs
    assert run.attempt == 2


def test_one_dead_rank_is_seen_while_the_run_lives(store):
    ranks = [Session(store, key=str(k), rank=k, world_size=2, first_key=10 * k) for k in range(2)]
    ranks[1].end("died")
    store.commit(T0)
    (run,) = store.runs
    assert run.state == "live"
    assert (run.ranks[0].state, run.ranks[1].state) == ("live", "died")
    ranks[0].end("finished")
    assert run.state == "died"


def test_another_world_of_the_same_name_is_another_run(store):
    Session(store, key="a", rank=0, world_size=2)
    Session(store, key="b", rank=1, world_size=4, first_key=10)
    assert len(store.runs) == 2


def test_the_same_session_introduced_again_is_no_restart(store):
    session = Session(store)
    session.train(0, 10)
    info = RunInfo("s1", "demo", total_steps=500, tags={"lr": 1}, started=T0)
    store.apply(1, Batch(runs=(info,)), session.now)
    session.define("loss")
    session.train(10, 20)
    (run,) = store.runs
    assert (run.attempt, run.total_steps, run.tags) == (1, 500, {"lr": 1})
    assert [series.n for series in run.find("loss")] == [20]


def test_an_old_file_is_as_old_as_its_samples(store):
    info = RunInfo("/x/log.jsonl", "log", source="file")
    store.apply(1, Batch(runs=(info,)), T0)
    session = Session.__new__(Session)
    session.store, session.key, session.source, session.now = store, info.key, 1, T0
    session.keys, session.first_key = {}, 0
    session.define("loss")
    from feeding import samples

    times = [T0 - 7200, T0 - 3600]
    batch = samples([0, 0], [1.0, 2.0], steps=[0, 1], times=times)
    store.apply(1, Batch(samples=batch), T0)
    store.commit(T0)
    (run,) = store.runs
    assert (run.started, run.last_seen, run.state) == (T0 - 7200, T0 - 3600, "stale")
    assert run.find("loss")[0].extent("elapsed") == (0.0, 3600.0)


def test_events_are_kept_in_order_and_bounded(store):
    session = Session(store)
    for number in range(MAX_EVENTS + 5):
        event = Event("s1", T0 + number, "info", f"checkpoint {number}", step=number)
        store.apply(1, Batch(events=(event,)), T0)
    store.apply(1, Batch(events=(Event("nobody", T0, "info", "lost"),)), T0)
    events = session.run.events
    assert len(events) == MAX_EVENTS
    assert events[-1].text == f"checkpoint {MAX_EVENTS + 4}"


def test_a_rule_adds_series_of_its_own(store):
    from feeding import samples

    session = Session(store)
    session.train(0, 10)
    run = session.run
    derived = store.add_series(run, "tokens_per_second", unit="tok/s", better="up", rank=0)
    assert derived is not None
    store.append(samples([derived.id] * 3, [1.0, 2.0, 3.0], steps=[5, 4, 3]))
    assert derived.id in store.commit(session.now)
    assert (derived.n, derived.derived, derived.unit) == (3, True, "tok/s")
    assert derived in run.find("tokens_per_second")
    assert run.attempt == 1


def test_counters_are_increments_with_rates(store):
    session = Session(store)
    session.define("requests", kind="counter")
    session.now = T0 + 100
    for second in range(100):
        session.log("requests", [2.0, 3.0], times=[T0 + second, T0 + second + 0.5])
    session.commit(after=0)
    series = session.series("requests")
    assert series.sum == 500.0
    assert series.rate(10.0, T0 + 99.9) == pytest.approx(5.0, rel=0.1)
    assert series.rate(1000.0, T0 + 100) == pytest.approx(5.0)
    assert series.rate(10.0, T0 + 500) == 0.0
    session.define("never", kind="counter")
    assert series.rate(10.0, T0 + 500) == 0.0
    assert session.series("never").rate(10.0, T0) != session.series("never").rate(10.0, T0)


def test_a_young_counter_is_divided_by_its_age(store):
    session = Session(store)
    session.define("tokens", kind="counter")
    session.log("tokens", [100.0], times=[T0])
    session.log("tokens", [100.0], times=[T0 + 4])
    session.commit()
    assert session.series("tokens").rate(60.0, T0 + 4) == pytest.approx(50.0)


def test_changes_are_told_and_versions_grow(store):
    session = Session(store)
    session.define("a", "b")
    session.log("a", [1.0])
    first, second = session.series("a"), session.series("b")
    assert session.commit() == {first.id}
    assert (first.version > 0, second.version) == (True, 0)
    seen, run_seen = first.version, session.run.version
    session.log("a", [2.0])
    session.commit()
    assert first.version > seen
    assert session.run.version > run_seen
    version = store.version
    assert session.commit(after=0) == frozenset()
    assert store.version == version
