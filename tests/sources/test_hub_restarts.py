"""A training job from its first step to its second life, through a real publisher and hub."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from conftest import Listening

Publisher = Callable[..., subprocess.Popen[str]]

TRAINER = """
import sys, llmtop
first, last = int(sys.argv[1]), int(sys.argv[2])
run = llmtop.init("trainer", total_steps=1000, tokens_per_step=64)
ttft = run.distribution("ttft_seconds")
for step in range(first, last):
    run.log({"loss": 1 / (1 + step), "grad_norm": float("nan") if step == 7 else step * 0.1}, step)
    ttft.observe(step / 3)
    run.count("tokens", 64)
run.event(f"checkpoint {last}")
print("logged", flush=True)
sys.stdin.readline()
"""


def test_a_killed_run_that_starts_again_from_a_checkpoint_is_a_second_attempt_and_loses_nothing(
    listening: Listening, publisher: Publisher
) -> None:
    first = publisher(TRAINER, 0, 700)
    run = listening.reaches(699)
    listening.until(lambda: run.events)
    first.kill()
    first.wait()
    listening.until(lambda: run.state == "died")
    assert run.reason == f"process {first.pid} is gone"
    second = publisher(TRAINER, 500, 1000)
    listening.until(lambda: run.attempt == 2 and run.step == 999 and len(run.events) == 2)
    assert listening.store.runs == [run]
    assert (run.state, run.total_steps, run.pid) == ("live", 1000, second.pid)
    for attempt, steps in ((1, range(700)), (2, range(500, 1000))):
        (loss,) = run.find("loss", attempt=attempt)
        held = loss.window(10_000)
        assert held.step.tolist() == list(steps)
        assert held.value.tolist() == [1 / (1 + step) for step in steps]
        assert (np.diff(held.time) >= 0).all()
        (norm,) = run.find("grad_norm", attempt=attempt)
        assert (norm.n, norm.nonfinite) == (len(steps), int(7 in steps))
        (tokens,) = run.find("tokens", attempt=attempt)
        assert tokens.sum == 64 * len(steps)
        (ttft,) = run.find("ttft_seconds", attempt=attempt)
        expected = [step / 3 for step in steps]
        assert sorted(ttft.window(10_000).value.tolist()) == expected
        ends = ttft.quantiles([0.0, 1.0]).values.tolist()
        assert ends == pytest.approx([expected[0], expected[-1]], rel=1e-6)
    assert [event.text for event in run.events] == ["checkpoint 700", "checkpoint 1000"]
    assert [attempt.state for attempt in run.attempts] == ["died", "live"]
    assert listening.store.dropped == 0
    assert second.stdin is not None
    second.stdin.write("\n")
    second.stdin.flush()
    listening.until(lambda: run.state == "finished")


def test_a_rollback_within_one_process_is_a_second_attempt_too(
    listening: Listening, publisher: Publisher
) -> None:
    publisher("""
import sys, llmtop
run = llmtop.init("trainer")
for step in [*range(600), *range(400, 900)]:
    run.log({"loss": float(step)}, step=step)
print("logged", flush=True)
sys.stdin.readline()
""")
    listening.until(lambda: listening.store.runs and listening.run().step == 899)
    run = listening.run()
    listening.until(lambda: sum(loss.n for loss in listening.all("loss")) == 1100)
    assert [(loss.attempt, loss.n) for loss in listening.all("loss")] == [(1, 600), (2, 500)]
    assert listening.all("loss")[1].window(500).step.tolist() == list(range(400, 900))
    assert (run.restarts, listening.store.dropped) == (1, 0)
