"""A monitor that comes when most of a run has left the publisher's ring."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable

import pytest
from publishing import SESSION, Wire

from llmtop.samples import Ends, Sample
from llmtop.wire import BUCKET, Kind, json_number, pack, pack_json

LONG = """
import math, sys, time
import llmtop
run = llmtop.init("long")
total = int(sys.argv[1])
def drained():
    while not run._stream.session.empty:
        time.sleep(0.01)
run.log({"once": 0.1, "burnt": math.nan}, step=3)
run.log({"burnt": -math.inf}, step=4)
ttft = run.distribution("ttft_seconds")
for step in range(5, total):
    run.log({"loss": 1.0 / (1 + step)}, step=step)
    if step % 10 == 0:
        ttft.observe(step / 3)
    if step % 50_000 == 0:
        drained()
drained()
assert run._stream.session.ring.first > 0
print(run._stream.session.ring.first, flush=True)
sys.stdin.readline()
"""
"""More than the ring's 8 MiB, slowly enough that nothing is dropped."""


def test_first_and_last_are_exact_though_the_points_left_the_ring(
    publisher: Callable[..., subprocess.Popen[str]],
) -> None:
    total = 450_000
    process = publisher(LONG, total)
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 20
    done = subprocess.run(
        [sys.executable, "-m", "llmtop", "--json", "--wait", "40"], capture_output=True, text=True,
        timeout=50, check=True,
    )  # fmt: skip
    (run,) = json.loads(done.stdout)["runs"]
    found = {one["name"]: one for one in run["series"] if not one["derived"]}
    assert [(step, value) for step, _, value in (found["loss"]["first"], found["loss"]["last"])] \
        == [(5, 1.0 / 6), (total - 1, 1.0 / total)]
    assert found["loss"]["n"] == total - 5
    assert found["once"]["n"] == 1
    assert found["once"]["first"] == found["once"]["last"]
    assert (found["once"]["first"][0], found["once"]["first"][2]) == (3, 0.1)
    assert [found["burnt"][end][::2] for end in ("first", "last")] == [
        [3, "NaN"], [4, "-Infinity"]
    ]
    assert (found["burnt"]["n"], found["burnt"]["min"]) == (2, None)
    observed = range(10, total, 10)
    assert found["ttft_seconds"]["n"] == len(observed)
    assert found["ttft_seconds"]["first"][2] == observed[0] / 3
    assert found["ttft_seconds"]["last"][2] == observed[-1] / 3
    # Of the same call, so of the same time.
    assert found["once"]["first"][1] == found["burnt"]["first"][1]


def bucket(sid: int, n: int, first: int, last: int, value: float) -> bytes:
    """Return a row of history from step `first` to `last`, at time 100 + step."""
    return BUCKET.pack(
        sid, n, 100.0 + first, 100.0 + last, first, last, value * n, value, value, value, 0.0
    )


def opening(wire: Wire, first: object, last: object, *, seq: int = 1) -> None:
    meta = {"first": first, "last": last}
    wire.say(pack_json(Kind.DEFS, [[0, "a", meta]], session=SESSION))
    wire.say(pack(Kind.BUCKETS, bucket(0, 5, 0, 4, 0.5), count=1, session=SESSION))
    wire.data(seq)


@pytest.mark.parametrize("value", [0.1, 3, -7.25, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("as_word", [True, False])
def test_the_ends_of_a_history_come_with_its_series(value: float, as_word: bool) -> None:
    wire = Wire(first_seq=1)
    opening(wire, [100.0, -1, json_number(value) if as_word else value], [104.5, 4, 0.5])
    batch = wire.take()
    # The series itself was introduced without them before.
    assert [info.key for info in batch.series] == [0, 0]
    ends = batch.series[-1].ends
    assert ends is not None
    assert ends.first[:2] == (100.0, -1)
    assert ends.first.value == value or math.isnan(ends.first.value) == math.isnan(value)
    assert ends.last == Sample(104.5, 4, 0.5)


@pytest.mark.parametrize("odd", [
    None, 5, "first", [], [1.0, 2], [1.0, 2, 3.0, 4], [math.nan, 0, 1.0], [-1.0, 0, 1.0],
    [1e300, 0, 1.0], [1.0, 0, "nan"], [1.0, 0, None], [1.0, 0, [1.0]], [1.0, 0, True],
    ["1", 0, 1.0], [True, 0, 1.0],
])  # fmt: skip
def test_ends_that_are_no_points_are_left_out(odd: object) -> None:
    for first, last in ((odd, [104.0, 4, 0.5]), ([100.0, 0, 0.5], odd)):
        wire = Wire(first_seq=1)
        opening(wire, first, last)
        batch = wire.take()
        assert [info.ends for info in batch.series] == [None]
        assert wire.intake.bad == 0


@pytest.mark.parametrize("step", [None, "3", 1.5, -2, 1 << 62, 1 << 200])
def test_a_step_that_is_none_leaves_the_rest(step: object) -> None:
    wire = Wire(first_seq=1)
    opening(wire, [100.0, step, 0.5], [104.0, 4, 0.5])
    assert wire.take().series[-1].ends == Ends(Sample(100.0, -1, 0.5), Sample(104.0, 4, 0.5))


def test_who_has_the_points_themselves_needs_no_ends() -> None:
    wire = Wire()
    wire.data(0)
    wire.take()
    opening(wire, [100.0, 0, 0.5], [104.0, 4, 0.5], seq=1)
    batch = wire.take()
    assert (batch.series, batch.buckets) == ((), None)
    assert batch.samples is not None
