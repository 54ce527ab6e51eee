"""What a viewer sees is what the relay knows: whole, in order, without a gap or a double."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zmq
from cable import Cable

from llmtop.clock import ManualClock, SystemClock
from llmtop.formats.table import load_table
from llmtop.publish.current import init
from llmtop.sources import attach
from llmtop.sources.attach import Attach
from llmtop.sources.intake import Intake
from llmtop.sources.tail import Tail
from llmtop.wire import Kind, pack, pack_json


def held(view, run: str, name: str) -> list[float]:
    return view.series(run, name).window(1 << 20).value.tolist()


def test_a_late_viewer_gets_the_whole_and_what_follows_without_gap_or_double(
    serve, view, address: str
) -> None:
    serve(address)
    run = init("late", endpoint=address)
    for step in range(30_000):
        run.log({"loss": float(step)}, step=step)
    first = view(address)
    first.until(lambda: first.has("late", "loss", 1))
    second = view(address)
    for step in range(30_000, 40_000):
        run.log({"loss": float(step)}, step=step)
        if step % 1000 == 0:
            time.sleep(0.01)
    for one in (first, second):
        one.until(lambda one=one: one.has("late", "loss", 40_000))
        loss = one.series("late", "loss")
        assert loss.n == 40_000
        assert loss.sum == sum(range(40_000))
        assert (loss.min, loss.max) == (0.0, 39_999.0)
        assert loss.first.value == 0.0
        recent = held(one, "late", "loss")
        assert recent == [float(v) for v in range(40_000 - len(recent), 40_000)]
        assert one.store.dropped == 0


def test_kinds_events_tags_and_the_end_come_through(serve, view, address: str) -> None:
    serving = serve(address)
    run = init("kinds", endpoint=address, total_steps=7, rank=1, world_size=2, tags={"lr": 0.5})
    values = np.random.default_rng(1).lognormal(size=70_000)
    for value in values.tolist():
        run.observe("ttft_seconds", value)
        run.count("tokens", 2)
    run.log({"loss": math.nan}, step=3)
    live = view(address)
    live.until(lambda: live.has("kinds", "ttft_seconds", 70_000) and live.has("kinds", "loss", 1))
    run.event("checkpoint saved")
    run.finish()
    for one in (live, view(address)):
        one.until(lambda one=one: one.run("kinds") and one.run("kinds").state == "finished")
        known = one.run("kinds")
        assert (known.total_steps, known.world_size, [*known.ranks]) == (7, 2, [1])
        assert known.tags == {"lr": 0.5}
        assert [event.text for event in known.events] == ["checkpoint saved"]
        assert one.series("kinds", "tokens").sum == 140_000
        assert math.isnan(one.series("kinds", "loss").last.value)
        spread = one.series("kinds", "ttft_seconds")
        assert (spread.n, spread.kind) == (70_000, "distribution")
        got = spread.quantiles((0.5, 0.99)).values
        assert np.allclose(got, np.quantile(values, (0.5, 0.99)), rtol=0.01)
        # A live viewer notes when it heard of the end, which is a moment later.
        assert abs(known.last_seen - serving.store.runs[0].last_seen) < 2.0


def test_a_restarted_relay_doubles_nothing_and_loses_nothing(serve, view, address: str) -> None:
    before = serve(address)
    run = init("again", endpoint=address)
    for step in range(5000):
        run.log({"loss": float(step)}, step=step)
    viewer = view(address)
    viewer.until(lambda: viewer.has("again", "loss", 5000))
    before.stop()
    for step in range(5000, 6000):
        run.log({"loss": float(step)}, step=step)
    after = serve(address)
    viewer.until(lambda: viewer.has("again", "loss", 6000))
    assert held(viewer, "again", "loss") == [float(v) for v in range(6000)][-1024:]
    assert viewer.series("again", "loss").n == 6000
    assert after.store.runs[0].series[0].run.attempt == 1
    assert [run.attempt for run in viewer.store.runs] == [1]
    assert viewer.store.dropped == 0


def test_runs_of_the_relays_own_begin_anew_with_it(serve, view, address: str, tmp_path) -> None:
    log = tmp_path / "train.jsonl"
    log.write_text("".join(json.dumps({"step": k, "loss": k / 2}) + "\n" for k in range(300)))

    def tail() -> Tail:
        return Tail([str(log)], clock=SystemClock(), table=load_table(""))

    before = serve(address, tail())
    viewer = view(address)
    viewer.until(lambda: any(one.n == 300 for one in viewer.store.series))
    before.stop()
    serve(address, tail())
    viewer.until(lambda: [one.n for one in viewer.store.series if one.name == "loss"] == [300, 300])
    (run,) = viewer.store.runs
    assert (run.attempt, run.state, run.step) == (2, "live", 299)
    assert viewer.store.dropped == 0


def test_a_viewer_that_was_cut_off_catches_up_exactly(serve, view, address: str) -> None:
    serving = serve(address)
    run = init("away", endpoint=address)
    for step in range(2000):
        run.log({"loss": float(step)}, step=step)
    cable = Cable(address)
    viewer = view(cable.address)
    try:
        viewer.until(lambda: viewer.has("away", "loss", 2000))
        cable.cut()
        for step in range(2000, 2900):
            run.log({"loss": float(step)}, step=step)
        viewer.until(lambda: serving.store.samples >= 2900)
        viewer.engine.pump(time.time())
        assert viewer.series("away", "loss").n == 2000
        cable.mend()
        viewer.until(lambda: viewer.has("away", "loss", 2900))
        run.log({"loss": 2900.0}, step=2900)
        viewer.until(lambda: viewer.has("away", "loss", 2901))
        assert held(viewer, "away", "loss") == [float(v) for v in range(2901)][-1024:]
        assert viewer.store.dropped == 0
    finally:
        cable.close()


def test_a_relay_of_a_relay(serve, view, address: str, rendezvous: Path) -> None:
    serve(address)
    second_address = f"ipc://{rendezvous}/serve-2.sock"
    run = init("far", endpoint=address)
    for step in range(3000):
        run.log({"loss": float(step)}, step=step)
    serve(second_address, Attach(address, clock=SystemClock()))
    viewer = view(second_address)
    viewer.until(lambda: viewer.has("far", "loss", 3000))
    for step in range(3000, 3500):
        run.log({"loss": float(step)}, step=step)
    viewer.until(lambda: viewer.has("far", "loss", 3500))
    assert viewer.series("far", "loss").sum == sum(range(3500))
    assert viewer.store.dropped == 0


def test_what_came_by_other_ways_is_passed_on_too(serve, view, address: str, tmp_path) -> None:
    log = tmp_path / "train.jsonl"
    log.write_text("".join(json.dumps({"step": k, "loss": k / 2}) + "\n" for k in range(500)))
    serve(address, Tail([str(log)], clock=SystemClock(), table=load_table("")))
    viewer = view(address)
    viewer.until(lambda: any(one.n == 500 for one in viewer.store.series if one.name == "loss"))
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.connect(address)
        for step in range(20):
            client.send(json.dumps({"run": "plain", "step": step, "acc": step * 1.0}).encode())
        viewer.until(lambda: viewer.has("plain", "acc", 20))
        with log.open("a") as file:
            file.write(json.dumps({"step": 500, "loss": 250.0}) + "\n")
        viewer.until(lambda: any(one.n == 501 for one in viewer.store.series))
        late = view(address)
        late.until(lambda: late.has("plain", "acc", 20))
        assert held(late, "plain", "acc") == [float(k) for k in range(20)]
        client.close(0)


def test_an_end_has_the_time_it_had_and_a_death_is_undone_by_a_frame() -> None:
    clock = ManualClock(5000.0)
    intake = Intake(clock, "relay")
    intake.frame(b"", pack_json(Kind.HELLO, {"role": "relay", "name": "r"}, session=7))
    said = {"reason": "died", "text": "silent", "t": 4000.5}
    intake.frame(b"", pack_json(Kind.BYE, said, session=7))
    batch = intake.take()
    assert [(end.reason, end.time) for end in batch.ends] == [("died", 4000.5)]
    clock.advance(600)
    intake.look_at_clock()
    intake.tick()
    assert intake.take() is None
    intake.frame(b"", pack(Kind.PONG, session=7))
    assert [run.name for run in intake.take().runs] == ["r"]


SCRIPT = """
import sys, llmtop
run = llmtop.init("mortal")
run.log({"loss": 1.0}, step=0)
print("logged", flush=True)
sys.stdin.readline()
"""


def test_a_death_is_told_by_the_relay_and_its_own_is_none_of_the_run(
    serve, view, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "SILENT_SECONDS", 2.0)
    serving = serve(address)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace('"mortal"', f'"mortal", endpoint="{address}"')],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    run = init("lasting", endpoint=address)
    run.log({"loss": 1.0}, step=0)
    try:
        viewer = view(address)
        viewer.until(lambda: viewer.has("mortal", "loss", 1) and viewer.has("lasting", "loss", 1))
        process.kill()
        process.wait()
        viewer.until(lambda: viewer.run("mortal").state == "died")
        late = view(address)
        late.until(lambda: late.run("mortal") and late.run("mortal").state == "died")
        serving.stop()
        viewer.until(lambda: viewer.engine.source_states[0].state == "lost")
        assert viewer.run("lasting").state in ("live", "stale")
    finally:
        process.kill()
        process.communicate()


def test_nothing_that_answers_is_said(
    view, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "SILENT_SECONDS", 0.5)
    viewer = view(address)
    viewer.until(lambda: viewer.engine.source_states[0].state == "lost")
    said = "connection refused; is llmtop serve running there?"
    assert viewer.engine.source_states[0].reason == said
