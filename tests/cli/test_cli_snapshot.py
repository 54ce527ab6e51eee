"""--once and --json on real runs: every point that was logged is counted, first and last exact."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

POINTS = 120_000
"""Two series of so many points fit the 8 MiB that a publisher can send again exactly."""
PUBLISHER = """
import sys, time
import llmtop

total, more = int(sys.argv[1]), int(sys.argv[2])
run = llmtop.init("long", total_steps=total + more)
ttft = run.distribution("ttft_seconds")
for step in range(total):
    run.log({"loss": 1 / (1 + step), "acc": step / total}, step=step)
    if not step % 100:
        ttft.observe(step / total)
    if not step % 2000:
        time.sleep(0.005)
print("logged", flush=True)
sys.stdin.readline()
for step in range(total, total + more):
    run.log({"loss": 1 / (1 + step)}, step=step)
print("logged", flush=True)
sys.stdin.readline()
run.finish()
print("finished", flush=True)
"""


def series_of(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in run["series"] if not one["derived"]}


def test_a_long_history_is_read_to_its_end_and_then_what_came_since(
    llmtop, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(POINTS), "500"], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as publisher:  # fmt: skip
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "logged\n"
        for logged in (POINTS, POINTS + 500):
            done = llmtop("--json", "--wait", "30")
            assert (done.returncode, done.stderr) == (0, "")
            document = json.loads(done.stdout)
            (run,) = document["runs"]
            assert document["dropped"] == 0
            assert (run["name"], run["phase"], run["state"]) == ("long", "train", "live")
            assert (run["pid"], run["step"]) == (publisher.pid, logged - 1)
            assert run["total_steps"] == POINTS + 500
            found = series_of(run)
            loss = found["loss"]
            assert (loss["metric"], loss["unit"], loss["kind"]) == ("loss", "nats", "gauge")
            assert loss["n"] == logged
            assert loss["first"][::2] == [0, 1.0]
            assert loss["last"][::2] == [logged - 1, 1 / logged]
            assert loss["first"][1] < loss["last"][1]
            assert found["acc"]["metric"] == "accuracy"
            assert found["acc"]["n"] == POINTS
            assert found["ttft_seconds"]["n"] == POINTS // 100
            assert abs(found["ttft_seconds"]["p90"] - 0.9) < 0.01
            if logged == POINTS:
                publisher.stdin.write("\n")
                publisher.stdin.flush()
                assert publisher.stdout.readline() == "logged\n"
        done = llmtop("--once", "--wait", "30")
        assert done.stdout.startswith(f"long  train  live  step {POINTS + 499:,}/{POINTS + 500:,}")
        publisher.stdin.write("\n")
        publisher.stdin.close()


def test_a_run_that_begins_while_it_waits_is_seen(llmtop, environment: dict[str, str]) -> None:
    script = (
        "import llmtop, sys\n"
        "with llmtop.init('now', total_steps=3) as run:\n"
        "    for step in range(3): run.log({'loss': float('nan') if step else 2.0}, step=step)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE
    ) as publisher:
        done = llmtop("--json")
        (run,) = json.loads(done.stdout)["runs"]
        loss = series_of(run)["loss"]
        assert (loss["n"], loss["last"][2], loss["min"]) == (3, "NaN", 2.0)
        publisher.communicate()


def test_the_demo_shows_real_numbers_and_leaves_nothing(llmtop) -> None:
    # What a launcher set for other programs must not hide or rename the demo.
    done = llmtop(
        "demo", "--json", "--wait", "40", LLMTOP_OFF="1", RANK="3", WORLD_SIZE="8",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    runs = {run["phase"]: run for run in json.loads(done.stdout)["runs"]}
    assert runs.keys() == {"train", "serve"}
    train, serve = series_of(runs["train"]), series_of(runs["serve"])
    loss = train["loss"]
    assert loss["rank"] is None
    assert loss["n"] >= 32
    assert loss["last"][2] < loss["first"][2]
    assert {"accuracy", "grad_norm", "learning_rate", "tokens_per_second"} <= set(train)
    assert all(one["metric"] for one in (*train.values(), *serve.values()))
    assert serve["requests"]["total"] >= 1
    assert serve["ttft_seconds"]["p50"] > 0
    assert serve["generated_tokens"]["total"] >= serve["ttft_seconds"]["n"]


def test_the_demo_without_a_terminal_is_a_snapshot(llmtop) -> None:
    done = llmtop("demo", "--wait", "40")
    assert done.returncode == 0
    assert "stdout is not a terminal" in done.stderr
    assert "tiny-gpt  train  live  step " in done.stdout
    assert "tiny-gpt-serve  serve  live" in done.stdout
    assert " loss " in done.stdout
