"""Numbers, durations and times in every spelling that logs have."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.formats.numbers import (
    MAX_VALUES,
    duration,
    flatten,
    number,
    step_of,
    timestamp,
    unix_time,
)
from llmtop.samples import NO_STEP


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.31", 2.31),
        ("3e-4", 3e-4),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.98e-08", -2.98e-08),
        ("'0.9446'", 0.9446),
        ('"0.00"', 0.0),
        ("8,641", 8641.0),
        ("1,234,567.5", 1234567.5),
        ("np.float64(-0.508)", -0.508),
        ("np.int64(7)", 7.0),
        ("tensor(2.3, device='cuda:0')", 2.3),
        ("Array(1.5, dtype=float32)", 1.5),
        ("1.3%", 1.3),
        ("-100.00%", -100.0),
        ("5.094 GB", 5.094),
        ("19.45GiB", 19.45),
        ("595563ms", 595563.0),
        ("44.50m", 44.5),
        ("11,577 tok/s", 11577.0),
        ("1.97B", 1.97e9),
        ("2T", 2e12),
        ("1.5P", 1.5e15),
        ("4E", 4e18),
        ("3.3k", 3300.0),
        ("inf", math.inf),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ('"inf"', math.inf),
    ],
)
def test_a_number_is_read_as_it_is_written(text: str, value: float) -> None:
    assert number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "nanms", "'nan'", "np.float64(nan)"])
def test_nan_is_a_number_in_every_spelling(text: str) -> None:
    found = number(text)
    assert found is not None
    assert math.isnan(found)


@pytest.mark.parametrize(
    "text",
    ["", "N/A", "n/a", "None", "null", "True", "-", "info", "nantes", "12ab", "7e1234abc", "0,25",
     "1,23", "2024-04-30", "4.56.2", "0x10", "(1)", "len(7)", "1 2", "9" * 65 + "ab"],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert number(text) is None


@given(st.text(max_size=80))
def test_any_text_is_survived(text: str) -> None:
    for read in (number, duration, timestamp, unix_time):
        found = read(text)
        assert found is None or isinstance(found, float)


@given(st.floats())
def test_a_float_comes_back_from_each_of_its_spellings(value: float) -> None:
    for text in (repr(value), f"'{value!r}'", f"np.float64({value!r})", f"{value!r} GB"):
        found = number(text)
        assert found is not None
        assert found == value or math.isnan(value)


@given(st.integers(min_value=0, max_value=10**15))
def test_thousands_commas_change_nothing(value: int) -> None:
    assert number(f"{value:,}") == value


@pytest.mark.parametrize(
    ("value", "step"),
    [(0.0, 0), (12.0, 12), (0.416, NO_STEP), (-1.0, NO_STEP), (math.nan, NO_STEP),
     (math.inf, NO_STEP), (1e300, NO_STEP), (None, NO_STEP)],
)
def test_a_step_is_a_whole_number(value: float | None, step: int) -> None:
    assert step_of(value) == step


def test_nested_records_become_names_with_slashes() -> None:
    record = {
        "loss": 2, "train": {"lr": "3e-4", "deep": {"x": 1.5}}, "note": "hello", "none": None,
        "flag": True, "one": [0.25], "many": [1, 2], "big": 10**400, "id": "2024-01-01",
    }
    assert flatten(record) == {
        "loss": 2.0, "train/lr": 3e-4, "train/deep/x": 1.5, "one": 0.25, "big": math.inf,
    }


def test_a_record_is_bounded_in_width_and_depth() -> None:
    wide = {str(i): float(i) for i in range(MAX_VALUES + 5)}
    assert len(flatten(wide)) == MAX_VALUES
    deep: dict[str, object] = {"x": 1.0}
    for _ in range(50):
        deep = {"a": deep}
    assert flatten(deep) == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:32:48", 1968.0),
        ("9 days, 21:39:23", 9 * 86400 + 21 * 3600 + 39 * 60 + 23),
        ("1 day, 0:00:01.5", 86401.5),
        ("-1 day, 23:59:59", -1.0),
        ("00:57", 57.0),
        ("2-03:00:00", 183600.0),
        ("1.207716998s", 1.207716998),
        ("686.203µs", 686.203e-6),
        ("12ns", 12e-9),
        ("3.5ms", 3.5e-3),
        ("1h2m3.5s", 3723.5),
        ("44.50m", 2670.0),
        ("5", None),
        ("soon", None),
        ("5 apples", None),
        ("3s later", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    found = duration(text)
    assert found == (None if seconds is None else pytest.approx(seconds, rel=1e-12))


def local(*parts: int) -> float:
    return datetime(*parts).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-04-13 23:41:20", local(2025, 4, 13, 23, 41, 20)),
        ("[2022-04-08 18:48:05,372][train_inner]", local(2022, 4, 8, 18, 48, 5) + 0.372),
        ("2025/04/13 23:41:20.25 x", local(2025, 4, 13, 23, 41, 20) + 0.25),
        ("2025-04-13T23:41:20Z", 1744587680.0),
        ("2025-08-09T19:36:02.798333Z  INFO", 1754768162.798333),
        ("2025-04-13T23:41:20+02:00", 1744580480.0),
        ("2025-04-13T23:41:20-0130", 1744593080.0),
        ("2025-13-13 23:41:20", None),
        ("no time 12:30", None),
    ],
)
def test_times_with_a_year(text: str, moment: float | None) -> None:
    found = timestamp(text)
    assert found == (None if moment is None else pytest.approx(moment, abs=1e-5))


NOW = datetime(2026, 1, 2, 12, 0, tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("I0101 21:54:55.531340 139 f.py:2] x", local(2026, 1, 1, 21, 54, 55) + 0.53134),
        ("(APIServer pid=2) INFO 12-31 21:24:09 [l.py:273]", local(2025, 12, 31, 21, 24, 9)),
        ("INFO 01-03 01:00:00 [x]", local(2026, 1, 3, 1, 0, 0)),
        ("W0229 10:00:00.5", local(2024, 2, 29, 10, 0, 0) + 0.5),
        ("INFO 02-30 10:00:00", None),
    ],
)
def test_a_time_without_a_year_is_the_last_one_before_now(text: str, moment: float | None) -> None:
    found = timestamp(text, NOW)
    assert found == (None if moment is None else pytest.approx(moment, abs=1e-5))


def test_unix_times_in_each_unit_and_nothing_else() -> None:
    for value in (1744587680, 1744587680.0, 1744587680e3, 1744587680e6, 1744587680e9,
                  "1744587680", "2025-04-13T23:41:20Z"):
        assert unix_time(value) == 1744587680.0
    for value in (0, 12.5, None, "soon", [1, 2], {"a": 1}, math.nan, math.inf):
        assert unix_time(value) is None
