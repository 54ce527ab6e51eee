"""Dots: every extreme is lit, lines are unbroken, gaps stay gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from drawing import INF, NAN, anything, bare, bare_area, columns, dots, drawn, finite, golden
from hypothesis import given
from hypothesis import strategies as st

from llmtop.chart import Trace, bridged, plot
from llmtop.chart.braille import cells, spans
from llmtop.chart.scale import scale

HEIGHT = 3


def lit_dots(top: np.ndarray, bottom: np.ndarray, rows: int) -> np.ndarray:
    bits = cells(spans(top, bottom, 4 * rows), rows)
    shape = bits.shape
    out = np.zeros((4 * shape[0], 2 * shape[1]), dtype=bool)
    for side, masks in enumerate(((1, 2, 4, 64), (8, 16, 32, 128))):
        for row, mask in enumerate(masks):
            out[row::4, side::2] = bits & mask > 0
    return out


whole_rows = st.one_of(st.just(NAN), st.integers(0, 4 * HEIGHT - 1).map(float))


@given(st.data(), st.integers(0, 12).map(lambda cells: 2 * cells))
def test_the_edges_of_every_column_are_lit_and_nothing_beyond_its_neighbours(data, count):
    top = data.draw(columns(count, whole_rows))
    bottom = data.draw(columns(count, whole_rows))
    lit = lit_dots(top, bottom, HEIGHT)
    seen = np.isfinite(top) & np.isfinite(bottom)
    for x in range(count):
        if not seen[x]:
            assert not lit[:, x].any()
            continue
        low, high = sorted((int(top[x]), int(bottom[x])))
        assert lit[low : high + 1, x].all()
        near = [k for k in (x - 1, x, x + 1) if 0 <= k < count and seen[k]]
        reach = np.array([[top[k], bottom[k]] for k in near])
        lit_rows = np.flatnonzero(lit[:, x])
        assert lit_rows.min() >= reach.min()
        assert lit_rows.max() <= reach.max()


@given(columns(st.integers(1, 12).map(lambda cells: 2 * cells), whole_rows))
def test_a_line_is_unbroken_between_neighbours_that_have_data(rows):
    lit = lit_dots(rows, rows, HEIGHT)
    for x in range(len(rows) - 1):
        if np.isfinite(rows[x]) and np.isfinite(rows[x + 1]):
            here, there = np.flatnonzero(lit[:, x]), np.flatnonzero(lit[:, x + 1])
            assert np.diff(here).max(initial=1) == 1
            assert np.abs(here[:, None] - there[None, :]).min() <= 1


@given(st.data(), st.integers(1, 30), st.integers(1, 6), st.booleans())
def test_no_spike_is_ever_lost(data, width, height, log):
    area = bare_area(width, height)
    low = data.draw(columns(area.dots, finite))
    high = np.maximum(low, data.draw(columns(area.dots, finite)))
    gone = data.draw(columns(area.dots, st.sampled_from([0.0, NAN])))
    spec = bare(low=0.5, high=90.0, log=log, traces=[Trace(0, low=low + gone, high=high + gone)])
    lit = dots(plot(spec, width, height), area)
    y = scale(0.5, 90.0, log, area.height)
    for edge in (low, high):
        rows = y.rows(edge)
        for x in np.flatnonzero(np.isfinite(gone)):
            assert lit[int(rows[x]), x]
    assert not lit[:, np.isnan(gone)].any()


def test_a_spike_of_one_column_stands_among_a_flat_line():
    line = np.full(24, 0.0)
    line[9] = 1.0
    assert drawn(bare(traces=[Trace(0, line=line)]), 12, 2) == golden(
        """
        ┈┈┈┈⢸┈┈┈┈┈┈┈
        ⣀⣀⣀⣀⡇⣇⣀⣀⣀⣀⣀⣀
        """)


@pytest.mark.parametrize("hole", [NAN, INF, -INF])
def test_gaps_stay_gaps(hole):
    line = np.array([0.0, 0.0, 0.0, hole, hole, 1.0, 1.0, 1.0])
    text = drawn(bare(low=0.0, high=1.0, traces=[Trace(0, line=line)]), 4, 2)
    assert text == ("┈┈⠈⠉\n⣀⡀┈┈" if np.isnan(hole) else "┈××⠉\n⣀⡀┈┈")


@given(columns(st.integers(0, 40), anything), st.integers(0, 10))
def test_bridging_fills_short_holes_between_data_only(values, longest):
    out = bridged(values, longest)
    seen = np.isfinite(values)
    assert len(out) == len(values)
    assert (out[seen] == values[seen]).all()
    at = np.flatnonzero(seen)
    if len(at) > 1:
        for a, b in pairwise(at):
            inside = out[a + 1 : b]
            if b - a - 1 <= longest:
                low, high = np.sort(values[[a, b]])
                with np.errstate(over="ignore"):
                    assert ((inside >= low) | np.isclose(inside, low)).all()
                    assert ((inside <= high) | np.isclose(inside, high)).all()
            else:
                assert not np.isfinite(inside).any()
        outside = np.concatenate([out[: at[0]], out[at[-1] + 1 :]])
        assert not np.isfinite(outside).any()


def test_bridging_draws_a_straight_line():
    values = np.array([NAN, 1.0, NAN, NAN, 4.0, NAN, NAN, NAN, 5.0, NAN])
    np.testing.assert_array_equal(
        bridged(values, 2), [NAN, 1.0, 2.0, 3.0, 4.0, NAN, NAN, NAN, 5.0, NAN])
