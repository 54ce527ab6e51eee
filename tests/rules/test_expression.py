"""The language of rules: what is read, what is refused and where, what it comes to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from judging import Trial

from llmtop.rules.evaluate import judge, measure
from llmtop.rules.expression import ExpressionError, parse, seconds_of
from llmtop.rules.expression.catalogue import FUNCTIONS
from llmtop.rules.expression.tree import Compare
from llmtop.rules.frame import Frame


def frame(trial: Trial, per: str = "run") -> Frame:
    made = Frame(trial.store, per, ())  # type: ignore[arg-type]
    trial.store.commit(trial.now)
    made.renew()
    made.begin({run.id: trial.now for run in trial.store.runs})
    return made


def value(trial: Trial, text: str, per: str = "run") -> list[float | None]:
    """Return what a number comes to for each target, None where it is missing."""
    root = parse(f"{text} > 0").root
    assert isinstance(root, Compare)
    found = measure(root.left, frame(trial, per))
    return [x if known else None
            for x, known in zip(found.value.tolist(), found.known.tolist(), strict=True)]


def truth(trial: Trial, text: str) -> bool | None:
    found = judge(parse(text).root, frame(trial))
    return bool(found.value[0]) if found.known[0] else None


@pytest.fixture
def trial() -> Trial:
    """Ten points, one a second: loss 1..10 and a counter of 2 each."""
    made = Trial([])
    for number in range(1, 11):
        made.log({"loss": float(number), "requests": 2.0, "errors": 0.0, "layer.3/norm": -1.0})
    return made


NUMBERS = {
    "1 + 2 * 3": 7.0, "(1 + 2) * 3": 9.0, "-2 * -3": 6.0, "7 - 2 - 1": 4.0, "8 / 4 / 2": 1.0,
    "5ms": 0.005, "2 m": 120.0, "1h": 3600.0, "3 GiB": 3 * 2.0**30, "5 %": 0.05, "2k": 2000.0,
    "1.5M": 1.5e6, "1e3": 1000.0, ".5": 0.5,
    "loss": 10.0, "last(loss)": 10.0, "lm_loss": 10.0, "first(loss)": 1.0, "'loss'": 10.0,
    "first(loss, 3 points)": 8.0, "mean(loss)": 5.5, "mean(loss, 4 points)": 8.5,
    "mean(loss, 3 s)": 9.0, "min(loss)": 1.0, "max(loss, 2 points, 3 points)": 7.0,
    "median(loss, 3s, 5s)": 4.0, "sum(loss, 2 points)": 19.0, "best(loss)": 1.0,
    "count(loss)": 10.0, "count(loss, 5s)": 5.0, "delta(loss, 5 points)": 4.0,
    "delta(requests, 5s)": 10.0, "rate(requests, 5s)": 2.0, "rate(loss, 5 points)": 1.0,
    "slope(loss, 5 points)": 1.0, "slope(loss, 5s)": 1.0, "p50(loss)": 5.5, "p90(loss)": 9.1,
    "p99.9(loss)": 9.991, "age(loss)": 0.0, "nonfinite(loss)": 0.0, "std(loss, 2 points)": 0.5,
    "delta(errors, 1m)": 0.0, "'layer.3/norm'": -1.0, "step": 9.0, "restarts": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(trial: Trial, text: str) -> None:
    trial.now -= 1  # The moment of the newest point.
    assert value(trial, text) == [pytest.approx(NUMBERS[text])]


def test_robust_numbers(trial: Trial) -> None:
    assert value(trial, "zscore(loss)") == [pytest.approx((10 - 5) / (1.4826 * 2))]
    assert value(trial, "ema(loss, 2 points)") == [pytest.approx((10 + 9 / 3) / (1 + 1 / 3))]
    assert value(trial, "ema(loss, 1 point)") == [10.0]


def test_age_grows_with_time(trial: Trial) -> None:
    trial.now += 41
    assert value(trial, "age(loss)") == [pytest.approx(42.0)]
    assert value(trial, "silence") == [pytest.approx(42.0)]


TRUTHS = {
    "loss > 5": True, "loss < 5": False, "not loss < 5": True, "loss > 5 and loss < 7": False,
    "loss > 5 or loss < 7": True, "loss == 10": True, "loss != 10": False,
    "loss >= 10 and loss <= 10": True, "grad_norm > 1": None, "not grad_norm > 1": None,
    "grad_norm > 1 and loss < 5": False, "grad_norm > 1 and loss > 5": None,
    "grad_norm > 1 or loss > 5": True, "grad_norm > 1 or loss < 5": None,
    "absent(grad_norm)": True, "absent(loss)": False, "absent(loss, 1s)": True,
    "loss / errors > 1": None, "mean(loss, 1s) > 0": None, "not (loss > 5 or loss < 1)": False,
    "count(loss, 1s) == 0": True, "eval_loss > 0 or absent(eval_loss)": True,
}  # fmt: skip


@pytest.mark.parametrize("text", TRUTHS)
def test_conditions_are_three_valued(trial: Trial, text: str) -> None:
    trial.now += 10
    assert truth(trial, text) is TRUTHS[text]


def test_nan_compares_false_and_is_data(trial: Trial) -> None:
    trial.log({"loss": math.nan})
    for sign in ("<", "<=", ">", ">=", "==", "!="):
        assert truth(trial, f"loss {sign} 5") is False
    assert value(trial, "nonfinite(loss, 3 points)") == [1.0]
    assert value(trial, "mean(loss, 3 points)") == [pytest.approx(9.5)]


WRONG = {
    "": (1, "missing at the end"),
    "los > 5": (1, "no metric 'los', did you mean 'loss'?"),
    "meen(loss) > 5": (1, "no function 'meen', did you mean 'mean'?"),
    "loss > 5 adn loss < 7": (10, "'adn' is one too many, did you mean 'and'?"),
    "1 < loss < 5": (10, "a second comparison needs and"),
    "loss > 5 GB and loss < 5x": (25, "no unit 'x'"),
    "ttft_seconds > 5 GiB": (14, "between seconds and bytes"),
    "loss": (1, "a number is not a condition"),
    "loss + (loss > 5) > 1": (6, "needs numbers"),
    "loss and grad_norm > 1": (6, "needs conditions"),
    "rate(loss) > 1": (1, "rate needs a window"),
    "age(loss, 5m) > 1": (1, "age takes no window"),
    "mean(loss, 5) > 1": (12, "a window is a time"),
    "mean(loss, 5m, 3 points) > 1": (16, "must both be"),
    "mean(loss, 0 points) > 1": (12, "a window is"),
    "mean(5) > 1": (6, "mean needs a metric first"),
    "(loss > 5": (10, "')' is missing"),
    "loss = 5": (6, "write =="),
    "'loss > 5": (1, "the quote is not closed"),
    "loss > 5 points": (8, "points are the length of a window"),
    "loss > #": (8, "'#' is nothing here"),
    "my_metric > 5": (1, "a name as logged stands in quotes"),
    "(" * 60 + "loss": (41, "nested more than 40 deep"),
    "loss > " + "1 + " * 300 + "1": (810, "more than 200 operations"),
    "x" * 2001: (2001, "longer than 2000"),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:30] or "nothing")
def test_what_is_wrong_is_told_with_its_column(text: str) -> None:
    column, told = WRONG[text]
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"column {column}: ")
    assert told in str(caught.value)


def test_a_percentage_and_a_ratio_are_of_one_kind() -> None:
    parse("kv_cache_usage > 95 %")
    parse("data_time_seconds / step_time_seconds > 20 %")
    with pytest.raises(ExpressionError, match="between seconds and fraction"):
        parse("step_time_seconds > 20 %")


def test_lengths_of_time() -> None:
    assert [seconds_of(text) for text in ("30s", "5m", "1.5h", "0")] == [30, 300, 5400, 0]
    for text in ("5", "5 GiB", "m", "5m 3s", ""):
        with pytest.raises(ExpressionError):
            seconds_of(text)


@pytest.mark.parametrize(("name", "unit", "logged", "expected"), [
    ("step_time_seconds", "ms", 250.0, 0.25), ("kv_cache_usage", "percent", 40.0, 0.4),
    ("gpu_memory_used_bytes", "GiB", 2.0, 2 * 2.0**30), ("my rate", "percent", 40.0, 0.4),
    ("mfu", "", 0.4, 0.4),
])  # fmt: skip
def test_values_are_read_in_the_vocabularys_unit(
    name: str, unit: str, logged: float, expected: float
) -> None:
    trial = Trial([])
    trial.log({name: logged}, unit=unit)
    assert value(trial, f"'{name}'") == [pytest.approx(expected)]


def test_ranks_are_read_together_or_each_by_itself() -> None:
    trial = Trial([], ranks=3)
    for step in range(4):
        for rank in range(3):
            trial.put({"step_time_seconds": 1.0 + rank}, step=step, rank=rank)
        trial.now += 1
    assert value(trial, "mean(step_time_seconds, 2 points)") == [2.0]
    assert value(trial, "mean(step_time_seconds, 2 points)", "rank") == [1.0, 2.0, 3.0]
    assert value(trial, "rank_ratio(step_time_seconds, 2 points)", "rank") == [0.5, 1.0, 1.5]
    assert value(trial, "rank_ratio(step_time_seconds, 2 points)") == [1.5]


def test_devices_are_told_apart_by_their_names() -> None:
    trial = Trial([], phase="host", tags={"devices": [{"key": "gpu1", "memory_total": 100.0}]})
    trial.put({"gpu0/gpu_utilization": 0.5, "gpu1/gpu_utilization": 0.9})
    assert value(trial, "gpu_utilization", "device") == [0.5, 0.9]
    assert value(trial, "device_memory", "device") == [None, 100.0]


def test_a_window_longer_than_what_is_held_raw_is_read_from_buckets() -> None:
    trial = Trial([])
    for _ in range(30):
        trial.put({"requests": [1.0] * 100, "loss": [2.0] * 100})
        trial.store.commit(trial.now)
        trial.now += 100
    trial.now -= 100
    assert value(trial, "delta(requests, 1h)") == [pytest.approx(3000.0, rel=0.05)]
    assert value(trial, "count(loss, 1h)") == [pytest.approx(3000.0, rel=0.05)]
    assert value(trial, "mean(loss, 1h)") == [pytest.approx(2.0)]


def test_a_moment_of_nothing_is_nothing() -> None:
    trial = Trial([])
    for name in FUNCTIONS:
        window = ", 5m" if FUNCTIONS[name].window == "must" else ""
        assert value(trial, f"{name}(loss{window})") == [None]


POINTS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12)


@settings(max_examples=60, deadline=None)
@given(points=POINTS, data=st.data())
def test_evaluating_never_raises(points: list[float], data: st.DataObject) -> None:
    trial = Trial([])
    if points:
        trial.put({"loss": 1.0, "errors": points, "ttft_seconds": points}, step=0)
        trial.put({"loss": math.nan if math.isnan(points[0]) else 1.0}, step=1)
    metric = data.draw(st.sampled_from(["loss", "errors", "ttft_seconds", "grad_norm"]))
    function = data.draw(st.sampled_from([*FUNCTIONS, "p50", "p99.9"]))
    spec = FUNCTIONS.get(function)
    window = "" if spec and spec.window == "never" else data.draw(
        st.sampled_from([", 5m", ", 3 points", ", 2 points, 1 point", ", 5s, 1s"]))
    text = f"{function}({metric}{window}) / loss - 1 >= 0 or not errors < 1"
    found = truth(trial, text)
    assert found in (True, False, None)


@settings(max_examples=200, deadline=None)
@example("p99(ttft_seconds, 5m) > 5s")
@given(st.text(alphabet="loss()<>=+-*/'5m,. andornt%kp9_\"", max_size=40))
def test_reading_ends_in_a_tree_or_an_error(text: str) -> None:
    try:
        found = parse(text)
    except ExpressionError as caught:
        told, column = str(caught), caught.column
    else:
        told, column = f"column {len(found.text) - len(text) + 1}: ", 0
    assert told.startswith(f"column {column + 1}: ")
    assert 0 <= column <= len(text)


def test_a_thousand_series_are_read_at_once_as_one_by_one() -> None:
    trial = Trial([], ranks=40)
    rng = np.random.default_rng(0)
    for step in range(30):
        for rank in range(40):
            if rng.random() < 0.8:
                trial.put({"grad_norm": float(rng.normal())}, step=step, rank=rank)
        trial.now += 1
    for text in ("mean", "max", "median", "std", "p90", "delta", "slope", "ema"):
        together = value(trial, f"{text}(grad_norm, 12 points)", "rank")
        for rank in (0, 17, 39):
            values = trial.run.find("grad_norm", rank)[0].window(12).value
            known = {"mean": np.mean, "max": np.max, "median": np.median, "std": np.std,
                     "p90": lambda x: np.quantile(x, 0.9),
                     "delta": lambda x: x[-1] - x[0],
                     "slope": lambda x: np.polyfit(np.arange(len(x)), x, 1)[0]}
            if text in known:
                assert together[rank] == pytest.approx(float(known[text](values)), abs=1e-9)
