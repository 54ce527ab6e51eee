"""The text snapshot, as it is read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtop.samples import Batch
from llmtop.store import Store
from llmtop.text import render_text
from llmtop.text.measures import QUANTILES
from llmtop.text.snapshot import MAX_NAMES
from llmtop.text.table import cells, clip, flow, table
from textstore import T0, end, filled, introduce, log


def golden(text: str) -> str:
    lines = text.strip("\n").split("\n")
    return "\n".join(line.removeprefix("    ") for line in lines).rstrip()


def busy() -> Store:
    store = filled()
    introduce(store, "gpt-small", total_steps=1000)
    log(store, "gpt-small", "train/loss", [4.0 - i / 50 for i in range(100)], every=0.5)
    log(store, "gpt-small", "train/lr", [3e-4] * 100, every=0.5)
    log(store, "gpt-small", "eval/accuracy", [0.25, 0.5], every=25)
    log(store, "gpt-small", "tokens_per_second", [412_000.0] * 99 + [math.nan], every=0.5)
    introduce(store, "llama", phase="serve")
    ttft = [0.1 + i / 1000 for i in range(101)]
    log(store, "llama", "ttft_seconds", ttft, kind="distribution", steps=False, every=0.5)
    log(store, "llama", "generated_tokens", [64.0] * 100, kind="counter", steps=False, every=0.5)
    return store


def test_a_training_run_and_a_server() -> None:
    assert render_text(busy(), T0 + 50, 100) == golden("""
    gpt-small  train  live  step 99/1,000  10.0 %  eta 7m 30s  elapsed 50s  node-07
      metric                last         min         max        mean                n
      tokens_per_second      NaN  412k tok/s  412k tok/s  412k tok/s  100 (1 NaN/Inf)
      train/loss           2.020       2.020           4       3.010              100
      train/lr           3.00e-4     3.00e-4     3.00e-4     3.00e-4              100
      eval/accuracy       0.5000      0.2500      0.5000      0.3750                2

    llama  serve  live  elapsed 50s  node-07
      distribution     p50     p90     p99     max    n
      ttft_seconds  150 ms  190 ms  199 ms  200 ms  101
      counter                  total       rate    n
      generated_tokens  6,400 tokens  128 tok/s  100
    """)


def test_narrow_terminals_lose_the_last_columns() -> None:
    assert render_text(busy(), T0 + 50, 44) == golden("""
    gpt-small  train  live  step 99/1,000
      10.0 %  eta 7m 30s  elapsed 50s  node-07
      metric                last         min
      tokens_per_second      NaN  412k tok/s
      train/loss           2.020       2.020
      train/lr           3.00e-4     3.00e-4
      eval/accuracy       0.5000      0.2500

    llama  serve  live  elapsed 50s  node-07
      distribution     p50     p90     p99
      ttft_seconds  150 ms  190 ms  199 ms
      counter                  total       rate
      generated_tokens  6,400 tokens  128 tok/s
    """)


def test_ranks_are_one_line_and_the_worst_of_latencies() -> None:
    store = filled()
    for rank in range(3):
        session = f"r{rank}"
        introduce(store, session, name="gpt", rank=rank, world_size=4)
        log(store, session, "loss", [3.0, 1.0 + rank])
        log(store, session, "data_seconds", [0.1 * (rank + 1)] * 10, kind="distribution",
            unit="seconds", steps=False)  # fmt: skip
        log(store, session, "samples_read", [32.0] * 10, kind="counter", steps=False)
    assert render_text(store, T0 + 10, 90) == golden("""
    gpt  train  live  step 1  elapsed 10s  node-07  3/4 ranks
      metric   last  min  max   mean  n
      loss x3     2    1    3  2.500  6
      distribution        p50     p90     p99     max   n
      data_seconds x3  300 ms  300 ms  300 ms  300 ms  30
      counter          total   rate   n
      samples_read x3    960  96 /s  30
      xN: N ranks; last is their median, percentiles the worst rank's
    """)


def test_ended_runs_come_last_and_say_how_they_ended() -> None:
    store = filled()
    for name, reason, text in (
        ("good", "finished", ""),
        ("bad", "failed", "ValueError: loss is NaN"),
        ("gone", "died", "process 41 is gone"),
    ):
        introduce(store, name)
        end(store, name, reason, 70, text)
    introduce(store, "here")
    store.apply(0, Batch(alive=("here",)), T0 + 90)
    introduce(store, "quiet")
    log(store, "quiet", "loss", [1.0])
    store.tick(T0 + 95)
    assert render_text(store, T0 + 95, 80) == golden("""
    here  train  live  elapsed 1m 35s  node-07
      nothing logged yet; run.log({"loss": loss}, step=step) fills this

    quiet  train  stale, silent for 1m 34s  step 0  elapsed 1m 35s  node-07
      metric  last  min  max  mean  n
      loss       1    1    1     1  1

    bad  train  failed: ValueError: loss is NaN  elapsed 1m 10s  node-07
      nothing was logged

    gone  train  died: process 41 is gone  elapsed 1m 10s  node-07
      nothing was logged

    good  train  finished  elapsed 1m 10s  node-07
      nothing was logged
    """)


def test_with_nothing_it_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMTOP_DIR", "/tmp/elsewhere")
    assert render_text(filled(), T0, 80) == golden("""
    no runs: nothing of yours publishes to /tmp/elsewhere
    try: llmtop demo
    or in a script: import llmtop; run = llmtop.init("name"); run.log({"loss":
    loss}, step=step)
    """)


def test_a_restarted_run_tells_its_newest_attempt() -> None:
    store = filled()
    introduce(store, "first", name="gpt")
    log(store, "first", "loss", [9.0] * 3)
    end(store, "first", "died", 3)
    introduce(store, "second", name="gpt", started=T0 + 5)
    log(store, "second", "loss", [2.0])
    text = render_text(store, T0 + 6, 80)
    assert "attempt 2" in text
    assert "9.000" not in text


def test_dropped_samples_are_told() -> None:
    store = filled()
    introduce(store, "gpt")
    store.apply(0, Batch(dropped=1234), T0)
    assert render_text(store, T0, 80).endswith("1,234 samples were dropped on the way")


def test_estimated_percentiles_say_so() -> None:
    store = filled()
    introduce(store, "server", phase="serve")
    values = [0.1] * 70_000
    log(store, "server", "ttft_seconds", values, kind="distribution", steps=False, every=0.001)
    series = store.series[0]
    assert not series.quantiles(QUANTILES).exact
    text = render_text(store, T0 + 70, 80)
    assert "~1" in text
    assert "~: estimated" in text


def test_very_many_names_are_cut_and_counted() -> None:
    store = filled()
    introduce(store, "gpt")
    for i in range(MAX_NAMES + 7):
        log(store, "gpt", f"layer/{i}", [1.0])
    text = render_text(store, T0, 80)
    assert "and 7 more; --json has all" in text
    assert len(text.splitlines()) == MAX_NAMES + 3


@settings(max_examples=40, deadline=None)
@given(name=st.text(min_size=1, max_size=60), width=st.integers(0, 130))
def test_no_line_is_wider_than_asked(name: str, width: int) -> None:
    store = filled()
    introduce(store, "run", name=name, total_steps=1000, host=name)
    log(store, "run", name, [1.0, math.nan, 1e300])
    log(store, "run", "x" + name, [1.0, 2.0], kind="distribution")
    for line in render_text(store, T0 + 5, width).splitlines():
        assert cells(line) <= max(width, 20)


def test_cells_of_wide_and_combining_characters() -> None:
    assert cells("abc") == 3
    assert cells("訓練") == 4
    assert cells("e\u0301") == 1
    assert clip("訓練損失", 5) == "訓練…"
    assert clip("loss", 4) == "loss"
    assert clip("losses", 4) == "los…"


def test_flow_breaks_between_parts() -> None:
    assert flow(["one", "two", "three"], 9) == ["one  two", "  three"]
    assert flow(["very-long-name", "x"], 9) == ["very-lon…", "  x"]


def test_table_keeps_the_first_columns() -> None:
    rows = [("name", "last", "min"), ("loss", "1.5", "0.25")]
    assert table(rows, 40) == ["  name  last   min", "  loss   1.5  0.25"]
    assert table(rows, 13) == ["  name  last", "  loss   1.5"]
    assert table(rows, 7) == ["  name", "  loss"]
