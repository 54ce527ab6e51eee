"""Axes: ranges that stand still, ticks that are round, labels that tell them apart."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from importlib import import_module

import numpy as np
import pytest
from drawing import INF, LARGEST, NAN, SMALLEST, anything, columns, finite
from hypothesis import given
from hypothesis import strategies as st

from llmtop.chart import column_grid, log_ticks, nice_range, ticks, x_ticks, y_label_cells
from llmtop.chart.labels import MOST_Y_LABEL, spread, y_ticks
from llmtop.chart.scale import scale

MINUTE, DAY = 60.0, 86_400.0
rows = st.integers(1, 60)
UNITS = st.sampled_from(["", "seconds", "bytes", "fraction", "percent", "tokens/s"])


@given(finite, finite, rows, UNITS)
def test_y_labels_are_unique_in_order_and_inside(a, b, height, unit):
    low, high = nice_range(None, a, b)
    labels = y_ticks(scale(low, high, False, height), unit)
    assert list(labels) == sorted(labels)
    assert all(0 <= row < height for row in labels)
    assert len(set(labels.values())) == len(labels)
    assert all(0 < len(text) < 30 for text in labels.values())


@given(st.floats(SMALLEST, LARGEST), st.floats(SMALLEST, LARGEST), rows, UNITS)
def test_the_labels_of_a_log_axis_are_as_good(a, b, height, unit):
    low, high = nice_range(None, a, b, log=True)
    assert low > 0
    labels = y_ticks(scale(low, high, True, height), unit)
    assert list(labels) == sorted(labels)
    assert len(set(labels.values())) == len(labels)
    assert all(len(text) < 30 for text in labels.values())


@pytest.mark.parametrize(
    ("low", "high", "unit", "log", "labels"),
    [
        (2.04, 3.41, "", False, "2.0 2.5 3.0 3.5"),
        (0.0, 1.0, "ratio", False, "0 0.2 0.4 0.6 0.8 1.0"),
        (0.0, 412_345.0, "tokens/s", False, "0|100k|200k|300k|400k"),
        (0.079, 0.287, "seconds", False, "100 ms|150 ms|200 ms|250 ms|300 ms"),
        (71.2 * 2**30, 80 * 2**30, "bytes", False, "72 GiB|74 GiB|76 GiB|78 GiB|80 GiB"),
        (0.0, 0.8, "fraction", False, "0 20% 40% 60% 80%"),
        (0.0001, 0.00193, "", False, "0 0.0005 0.0010 0.0015 0.0020"),
        (-3.0, 8.0, "", False, "-2.5 0 2.5 5.0 7.5"),
        (0.4, 9.0, "", True, "0.2 0.5 1 2 5 10"),
        (1e-4, 2.0, "seconds", True, "100 µs|1 ms|10 ms|100 ms|1 s"),
        (1e9, 1e11, "bytes", True, "1 GiB|2 GiB|5 GiB|10 GiB|20 GiB|50 GiB"),
        (1e200, 1e300, "", False, "0 2e299 4e299 6e299 8e299 1e300"),
    ],
)
def test_y_labels_read_like_these(low, high, unit, log, labels):
    found = y_ticks(scale(*nice_range(None, low, high, log), log, 12), unit)
    wanted = labels.split("|") if "|" in labels else labels.split()
    assert list(found.values())[::-1][: len(wanted)] == wanted


@given(finite, finite, st.booleans(), rows, UNITS)
def test_the_width_of_y_labels_is_bounded(low, high, log, height, unit):
    assert 0 <= y_label_cells(low, high, unit, log, height) <= MOST_Y_LABEL


@given(finite, finite, st.integers(-1, 20))
def test_ticks_are_round_inside_and_few(a, b, most):
    low, high = nice_range(None, a, b)
    found = ticks(low, high, most)
    assert len(found) <= max(0, most)
    assert found == sorted(set(found))
    spare = (high - low) * 1e-6
    for value in found:
        assert low - spare <= value <= high + spare
    if len(found) > 1:
        steps = np.diff(found)
        assert steps.max() == pytest.approx(steps.min(), rel=1e-6)
        mantissa = float(f"{steps[0]:.6e}".split("e")[0])
        assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5, 10)) < 1e-4


@given(anything, anything, st.integers(0, 20), st.sampled_from([ticks, log_ticks]))
def test_ticks_of_any_range_are_finite_and_few(low, high, most, make):
    found = make(low, high, most)
    assert len(found) <= most
    assert all(math.isfinite(value) for value in found)


@given(st.integers(-320, 307), st.floats(1.01, 300), st.integers(2, 8))
def test_log_ticks_are_positive_in_order_and_inside(exponent, span, most):
    low = max(10.0**exponent, SMALLEST)
    high = min(low * 10**span, LARGEST) if exponent + span < 308 else LARGEST
    found = log_ticks(low, high, most)
    assert found == sorted(set(found))
    assert all(low * (1 - 1e-6) <= value <= high * (1 + 1e-6) for value in found)


@given(finite, finite, finite, finite, st.booleans())
def test_a_range_holds_the_data_and_stays_while_it_serves(a, b, c, d, log):
    first = nice_range(None, a, b, log)
    assert -INF < first[0] < first[1] < INF
    assert nice_range(first, a, b, log) == first
    second = nice_range(first, c, d, log)
    low, high = min(c, d), max(c, d)
    if not log and max(abs(low), abs(high)) < 1e299:
        spare = (high - low) * 1e-8
        assert second[0] <= low + spare
        assert second[1] >= high - spare
    if log:
        assert second[0] > 0


@given(st.sampled_from([NAN, INF, -INF]), anything, st.booleans())
def test_without_finite_data_the_range_stays(low, high, log):
    assert nice_range((2.0, 3.0), low, high, log) == (2.0, 3.0)
    assert nice_range(None, low, high, log) == (0.0, 1.0)


def test_a_range_shrinks_when_half_of_it_is_empty():
    wide = nice_range(None, 0.0, 10.0)
    assert nice_range(wide, 2.0, 8.0) == wide
    assert nice_range(wide, 2.0, 5.0) == (2.0, 5.0)


@given(columns(st.integers(0, 30)), anything, anything, st.booleans(), st.integers(1, 40))
def test_dot_rows_lie_inside_and_fall_as_values_rise(values, low, high, log, cells):
    y = scale(low, high, log, cells)
    found = y.rows(values)
    seen = np.isfinite(values)
    assert (np.isfinite(found) == seen).all()
    assert ((found[seen] >= 0) & (found[seen] < 4 * cells)).all()
    assert (found[seen] == np.rint(found[seen])).all()
    order = np.argsort(values[seen], kind="stable")
    assert (np.diff(found[seen][order]) <= 0).all()


@given(columns(st.integers(1, 30), finite), st.integers(1, 20))
def test_on_a_log_axis_what_has_no_logarithm_stands_on_the_lower_edge(values, cells):
    y = scale(0.1, 100.0, True, cells)
    found = y.rows(values)
    assert y.log
    assert (found[values <= 0] == 4 * cells - 1).all()


@given(finite, st.floats(1e-6, 1e15), st.integers(2, 400))
def test_columns_cover_the_stretch_with_whole_buckets(start, span, count):
    stop = start + span
    grid = column_grid(start, stop, count)
    assert grid.count == count
    assert grid.width > 0
    slack = 1e-6 * grid.width + 1e-9 * abs(start)
    assert grid.start <= start + slack
    assert grid.stop >= stop - slack
    if stop > start:
        assert 0 <= grid.column(start) < count


def test_a_window_that_moves_moves_the_picture_only_when_a_bucket_closes():
    grids = [column_grid(now - 900.0, now, 120) for now in np.arange(1e9, 1e9 + 60, 0.25)]
    assert len({grid.width for grid in grids}) == 1
    assert len({grid.start for grid in grids}) <= 60 / grids[0].width + 2
    assert grids[0].column(NAN) == grids[0].column(INF) == -1


@given(
    st.sampled_from(["step", "time", "elapsed"]), st.floats(0, 4e9), st.floats(1e-3, 1e9),
    st.integers(1, 120), st.booleans(),
)
def test_x_labels_are_unique_in_order_and_on_the_grid(axis, start, span, cells, by_age):
    grid = column_grid(start, start + span, 2 * cells)
    now = start + span if by_age and axis == "time" else None
    found = x_ticks(axis, grid, start, cells, now)
    at = [column for column, _ in found]
    assert len(set(at)) == len(at)
    assert all(-1 <= column <= grid.count for column in at)
    assert all(0 < len(label) < 25 for _, label in found)
    labels = [label for _, label in found]
    # A zoom to parts of a second years after the start finds labels that differ in none they show.
    if axis == "step" or (axis == "elapsed" and start < 1e7 and span > 1):
        assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("axis", "start", "stop", "now", "labels"),
    [
        ("step", 0, 50_000, None, "0 10k 20k 30k 40k 50k"),
        ("step", 0, 3, None, "0 1 2 3"),
        ("elapsed", 0, 900, None, "0 5m 10m 15m"),
        ("elapsed", 0, 5400, None, "0|30m|1h|1h 30m"),
        ("elapsed", 0, 2, None, "0|0.5 s|1.0 s|1.5 s|2.0 s"),
        ("time", 1e9, 1e9 + 900, 1e9 + 900, "now -5m -10m -15m"),
    ],
)
def test_x_labels_read_like_these(axis, start, stop, now, labels):
    found = x_ticks(axis, column_grid(start, stop, 108), float(start), 54, now)
    wanted = labels.split("|") if "|" in labels else labels.split()
    assert [label for _, label in found][: len(wanted)] == wanted


def test_a_clock_tells_the_date_where_the_day_changes(monkeypatch):
    # The package's function of that name hides the module from a dotted path.
    module = import_module("llmtop.chart.ticks")
    monkeypatch.setattr(module, "_utc_offset", lambda when: 0.0)
    monkeypatch.setattr(module, "_local", _utc)
    evening = 20_000 * DAY - 2 * 3600
    found = x_ticks("time", column_grid(evening, evening + 4 * 3600, 100), evening, 50)
    assert [label for _, label in found] == ["22:00", "23:00", "04 Oct", "01:00", "02:00"]


def _utc(when: float, form: str) -> str:
    return datetime.fromtimestamp(when, timezone.utc).strftime(form)


@given(st.lists(st.integers(0, 20), max_size=15).map(sorted), st.integers(15, 21))
def test_end_labels_keep_their_order_and_never_share_a_row(wanted, height):
    places = spread([min(row, height - 1) for row in wanted], height)
    assert len(places) == len(wanted)
    assert places == sorted(set(places))
    assert all(0 <= place < height for place in places)


def test_end_labels_that_have_room_stand_where_they_want_to():
    assert spread([0, 3, 9], 10) == [0, 3, 9]
    assert spread([4, 4, 4], 10) == [3, 4, 5]
    assert spread([9, 9], 10) == [8, 9]
