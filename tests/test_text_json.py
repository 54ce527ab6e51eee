"""The JSON document: strict whatever was logged, and exact."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtop.samples import Batch
from llmtop.store import Store
from llmtop.text import render_json
from textstore import T0, end, filled, introduce, log

ODD = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def document(store: Store) -> dict[str, Any]:
    """Parse as a strict reader does, which knows no NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    text = render_json(store)
    assert text.isascii()
    parsed: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return parsed


def test_a_store_with_nothing_is_a_document_too() -> None:
    assert document(filled()) == {
        "version": 1, "runs": [], "hosts": [], "alerts": [], "dropped": 0}


def test_a_run_with_its_series() -> None:
    store = filled()
    introduce(store, "gpt", total_steps=50)
    log(store, "gpt", "train/loss", [3.0, 1.0, 2.0], every=0.5)
    (run,) = document(store)["runs"]
    (series,) = run.pop("series")
    assert run == {
        "name": "gpt", "host": "node-07", "pid": 41, "phase": "train", "state": "live",
        "step": 2, "total_steps": 50, "source": "local",
    }  # fmt: skip
    assert series == {
        "name": "train/loss", "metric": "loss", "rank": None, "attempt": 1, "derived": False,
        "unit": "nats", "kind": "gauge", "n": 3, "first": [0, T0, 3.0], "last": [2, T0 + 1.0, 2.0],
        "min": 1.0, "max": 3.0, "mean": 2.0,
    }  # fmt: skip


def test_what_a_host_says_of_itself_does_not_hide_what_is_known_of_it() -> None:
    store = filled()
    tags = {"name": "liar", "state": "fine", "source": "me", "series": 3, "core_count": 8}
    introduce(store, "node-07", phase="host", tags=tags)
    (host,) = document(store)["hosts"]
    assert (host["name"], host["state"], host["source"]) == ("node-07", "live", "local")
    assert (host["series"], host["core_count"]) == ([], 8)


def test_what_is_not_known_is_null_and_not_zero() -> None:
    store = filled()
    introduce(store, "json-client", pid=0)
    log(store, "json-client", "only_nan", [math.nan], steps=False)
    (run,) = document(store)["runs"]
    assert (run["pid"], run["step"], run["total_steps"]) == (None, None, None)
    (series,) = run["series"]
    assert series["metric"] is None
    assert series["n"] == 1
    assert series["last"] == [None, T0, "NaN"]
    assert [series[key] for key in ("min", "max", "mean")] == [None, None, None]


def test_a_series_without_points_is_left_out() -> None:
    store = filled()
    introduce(store, "gpt")
    log(store, "gpt", "loss", [])
    assert document(store)["runs"][0]["series"] == []


def test_kinds_have_what_is_theirs() -> None:
    store = filled()
    introduce(store, "server", phase="serve")
    values = [i / 100 for i in range(101)]
    log(store, "server", "ttft_seconds", values, kind="distribution", steps=False)
    log(store, "server", "requests", [1.0, 4.0], kind="counter", steps=False)
    ttft, requests = document(store)["runs"][0]["series"]
    np.testing.assert_allclose([ttft[q] for q in ("p50", "p90", "p99")], [0.5, 0.9, 0.99])
    assert requests["total"] == 5.0
    assert "p50" not in requests
    assert ttft["method"] == "exact"
    assert "total" not in ttft


def test_every_attempt_and_rank_is_there() -> None:
    store = filled()
    for rank in (0, 1):
        introduce(store, f"r{rank}", name="gpt", rank=rank, world_size=2)
        log(store, f"r{rank}", "loss", [3.0, 2.0])
    for rank in (0, 1):
        end(store, f"r{rank}", "died", after=2)
    introduce(store, "again", name="gpt", rank=0, world_size=2, started=T0 + 60)
    log(store, "again", "loss", [1.0])
    (run,) = document(store)["runs"]
    assert [(one["attempt"], one["rank"], one["n"]) for one in run["series"]] == [
        (1, 0, 2), (1, 1, 2), (2, 0, 1),
    ]  # fmt: skip


def test_lost_samples_are_counted_wherever_they_were_lost() -> None:
    store = filled()
    introduce(store, "gpt")
    log(store, "gpt", "llmtop/dropped", [3.0, 4.0], kind="counter", steps=False)
    store.apply(0, Batch(dropped=5), T0)
    assert document(store)["dropped"] == 12


def test_derived_series_say_so() -> None:
    store = filled()
    introduce(store, "gpt")
    log(store, "gpt", "loss", [1.0])
    store.add_series(store.runs[0], "step_time_seconds")
    store.append(samples_of(store.series[-1].id, 0.25))
    store.commit(T0 + 1)
    derived = {one["name"]: one["derived"] for one in document(store)["runs"][0]["series"]}
    assert derived == {"loss": False, "step_time_seconds": True}


def samples_of(series: int, value: float) -> Any:
    from llmtop.samples import Samples

    return Samples(
        np.array([series], np.uint32), np.array([T0]), np.array([1]), np.array([value])
    )


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(min_size=1, max_size=30),
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20),
)
def test_it_is_strict_and_exact_whatever_was_logged(name: str, values: list[float]) -> None:
    store = filled()
    introduce(store, "run", name=name)
    log(store, "run", name, values)
    (run,) = document(store)["runs"]
    (series,) = run["series"]
    assert series["n"] == len(values)
    for key, value in (("first", values[0]), ("last", values[-1])):
        told = series[key][2]
        np.testing.assert_equal(ODD[told] if isinstance(told, str) else told, value)
    finite = [value for value in values if math.isfinite(value)]
    assert series["min"] == min(finite, default=None)
    assert series["max"] == max(finite, default=None)
