"""Smoothing, one-row pictures, and ASCII."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import NAN, anything, bare, columns, drawn, finite, golden
from hypothesis import given
from hypothesis import strategies as st

from llmtop.chart import Mark, Threshold, Trace, bar, ema, plot, sparkline
from llmtop.chart.plain import plain

factors = st.sampled_from([0.0, 0.6, 0.9, 0.99, 0.999999])


def adam(values: list[float], factor: float) -> float:
    """The definition: an average begun at zero, divided by the weights it has seen."""
    average = 0.0
    for value in values:
        average = factor * average + (1 - factor) * value
    return average / (1 - factor ** len(values)) if factor else values[-1]


@given(columns(st.integers(1, 30), st.floats(-1e6, 1e6)), factors)
def test_smoothing_is_adams_bias_corrected_average(values, factor):
    found = ema(values, np.ones(len(values)), factor)
    for k in range(len(values)):
        assert found[k] == pytest.approx(adam(values[: k + 1].tolist(), factor), rel=1e-4, abs=1e-3)


@given(st.data(), st.integers(0, 30), factors)
def test_smoothing_skips_columns_without_data_and_leaves_them_empty(data, count, factor):
    values = data.draw(columns(count, st.floats(-100, 100)))
    seen = data.draw(columns(count, st.sampled_from([0.0, 1.0]))) > 0
    mean = np.where(seen, values, NAN)
    found = ema(mean, seen.astype(float), factor)
    assert (np.isfinite(found) == seen).all()
    np.testing.assert_allclose(found[seen], ema(values[seen], np.ones(seen.sum()), factor))


@given(st.floats(-100, 100), factors, st.integers(1, 50))
def test_a_constant_is_not_moved_by_smoothing(value, factor, count):
    smooth = ema(np.full(count, value), np.ones(count), factor)
    np.testing.assert_allclose(smooth, value, atol=1e-300)


def test_a_column_of_many_points_counts_as_many():
    one_by_one = ema(np.array([1.0, 1.0, 1.0, 5.0]), np.ones(4), 0.9)
    at_once = ema(np.array([1.0, 5.0]), np.array([3.0, 1.0]), 0.9)
    np.testing.assert_allclose(at_once, one_by_one[2:])


@given(columns(st.integers(0, 60)), st.integers(-1, 40), st.booleans(),
       st.one_of(st.none(), finite), st.one_of(st.none(), finite))
def test_a_sparkline_has_its_width_and_is_blank_where_nothing_is(values, width, unicode, low, high):
    text = sparkline(values, width, unicode=unicode, low=low, high=high)
    assert len(text) == max(0, width)
    assert set(text) <= set(" ▁▂▃▄▅▆" if unicode else " .:-=+*")
    if len(values) == width:
        assert [glyph != " " for glyph in text] == np.isfinite(values).tolist()


def test_a_sparkline_rises_with_its_values():
    assert sparkline(np.arange(6.0), 6) == "▁▂▃▄▅▆"
    assert sparkline(np.arange(6.0), 6, unicode=False) == ".:-=+*"
    assert sparkline(np.array([0.0, NAN, 10.0]), 3) == "▁ ▆"
    assert len(set(sparkline(np.full(8, 3.0), 8))) == 1
    assert sparkline(np.array([0.5]), 4, low=0.0, high=1.0) == 4 * sparkline(
        np.array([0.5]), 1, low=0.0, high=1.0)


@given(anything, st.integers(-2, 50), st.booleans())
def test_a_bar_has_its_width(fraction, width, unicode):
    filled, track = bar(fraction, width, unicode=unicode)
    assert len(filled) + len(track) == max(0, width)


def test_a_bar_is_filled_by_halves():
    assert bar(0.5, 10) == ("━" * 5, "━" * 5)
    assert bar(0.25, 10) == ("━━╸", "━" * 7)
    assert bar(NAN, 4) == ("", "━━━━")
    assert bar(2.0, 4) == ("━━━━", "")
    assert bar(0.25, 10, unicode=False) == ("==-", "." * 7)


def test_ascii_tells_lines_raw_samples_and_marks_apart():
    up = np.linspace(0.0, 1.0, 40)
    spec = bare(
        traces=[Trace(0, line=up, low=up * 0, high=up * 0 + 0.2, filled=True)],
        thresholds=[Threshold(0.75)], marks=[Mark(20, "◆", "ok")],
        x_ticks=[(0, "0"), (39, "4 µs")],
    )
    assert drawn(spec, 20, 6, unicode=False) == golden(ASCII)


ASCII = """
..........*.......''
----------:-..''----
..........''
,,,,..'',,,,,,,,,,,,
..'';;;;;;;;;;;;;;;;
0               4 us
"""


@given(st.booleans())
def test_ascii_keeps_size_and_roles(log):
    picture = plot(bare(traces=[Trace(0, line=np.linspace(0.1, 1, 40))], log=log), 20, 6)
    there = plain(picture)
    assert there.chars.shape == picture.chars.shape
    assert (there.styles == picture.styles).all()
