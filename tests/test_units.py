"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.units import format_axis, format_duration, format_number, format_value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (412_345.0, "tokens/s", "412k tok/s"),
        (0.1821, "seconds", "182 ms"),
        (1.2149, "seconds", "1.21 s"),
        (35e-6, "seconds", "35.0 µs"),
        (71.2 * 2**30, "bytes", "71.2 GiB"),
        (0.462, "fraction", "46.2 %"),
        (2.3181, "nats", "2.318"),
        (1.93e-4, "", "1.93e-4"),
        (999.96, "", "1,000"),
        (9_999.9, "", "10.0k"),
        (512.0, "", "512"),
        (0.0, "", "0"),
        (math.nan, "seconds", "NaN"),
        (-math.inf, "", "-Inf"),
        (None, "bytes", "--"),
    ],
)
def test_values(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0.2s"), (9.97, "10s"), (59.6, "1m 00s"), (9_660, "2h 41m"), (200_000, "2d 07h"),
     (None, "--")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_axis_labels_share_scale_and_decimals() -> None:
    assert format_axis([0, 10_000, 20_000]) == ["0", "10k", "20k"]
    assert format_axis([2.0, 2.5, 3.0]) == ["2.0", "2.5", "3.0"]
    assert format_axis([0, 0.1, 0.2], "seconds") == ["0", "100 ms", "200 ms"]
    assert format_axis([1e-4, 2e-4]) == ["1e-4", "2e-4"]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_short(value: float) -> None:
    assert 0 < len(format_number(value)) <= 10


@given(st.floats(min_value=1e-3, max_value=1e14))
def test_a_number_is_not_wrong(value: float) -> None:
    text = format_number(value)
    scale = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1.0)
    shown = float(text.rstrip("kMGT").replace(",", "")) * scale
    assert shown == pytest.approx(value, rel=6e-3)
