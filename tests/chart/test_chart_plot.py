"""Whole charts: golden pictures, and what holds for any chart of any numbers at any size."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import (
    INF,
    NAN,
    anything,
    bare,
    columns,
    drawn,
    finite,
    golden,
    roles,
    roles_of_row,
)
from hypothesis import given
from hypothesis import strategies as st

from llmtop.chart import ROLES, Mark, Plot, Threshold, Trace, column_grid, plot, plot_area, x_ticks

sizes = st.tuples(st.integers(0, 70), st.integers(0, 12))
short = st.text(alphabet="abc 0123…é", max_size=12)


@st.composite
def plots(draw, dots: int) -> Plot:
    """Charts of anything, at a size their arrays need not fit."""
    wide = st.integers(max(0, dots - 3), dots + 3)
    maybe = st.one_of(st.none(), columns(draw(wide)))
    trace = st.builds(
        Trace, st.integers(0, 20), line=maybe, low=maybe, high=maybe, points=maybe,
        bad=st.one_of(st.none(), columns(dots, finite).map(lambda a: a > 0)),
        filled=st.booleans(), faint=st.booleans(), label=short, value=short,
        critical_above=st.one_of(st.none(), anything),
    )
    place = st.integers(-3, dots + 3)
    return draw(st.builds(
        Plot, st.lists(trace, max_size=3), anything, anything,
        unit=st.sampled_from(["", "seconds", "bytes", "fraction", "tokens/s"]),
        log=st.booleans(), x_ticks=st.lists(st.tuples(place, short), max_size=5),
        thresholds=st.lists(st.builds(Threshold, anything, short), max_size=2),
        marks=st.lists(st.builds(Mark, place, st.sampled_from(["◆", "▲", ""]),
                                 st.sampled_from(["ok", "warning", "critical", "dim"])),
                       max_size=4),
        cursor=st.one_of(st.none(), place), readout=short,
        y_labels=st.integers(0, 9), end_labels=st.integers(0, 12),
    ))


@given(st.data(), sizes, st.booleans())
def test_any_chart_has_the_size_asked_for_and_known_roles_only(data, size, unicode):
    width, height = size
    spec = data.draw(plots(plot_area(width, height).dots))
    picture = plot(spec, width, height, unicode=unicode)
    assert picture.chars.shape == picture.styles.shape == (max(1, height), max(1, width))
    assert picture.styles.max() < len(ROLES)
    assert all(len(line) == max(1, width) for line in picture.lines())
    for y in range(max(1, height)):
        assert "".join(text for text, _ in picture.runs(y)) == picture.lines()[y]
    assert "�" not in "".join(picture.lines())
    if not unicode:
        assert all(line.isascii() and line.isprintable() for line in picture.lines())


@pytest.mark.parametrize(("width", "height"), [(0, 0), (1, 1), (3, 500), (500, 3), (2, 2), (1, 9)])
def test_odd_sizes_are_drawn(width, height):
    area = plot_area(width, height)
    line = np.linspace(0.0, 1.0, area.dots)
    picture = plot(Plot([Trace(0, line=line, label="loss")], 0.0, 1.0), width, height)
    assert picture.chars.shape == (max(1, height), max(1, width))
    assert "series-1" in roles(picture)


@pytest.mark.parametrize("value", [0.0, 5e-324, -1e-310, 1.7e308, -1.7e308, 3.25])
@pytest.mark.parametrize("log", [False, True])
def test_equal_values_are_a_level_line_inside_the_chart(value, log):
    spec = bare(low=value, high=value, log=log, traces=[Trace(0, line=np.full(20, value))])
    assert "series-1" in roles(plot(spec, 10, 5))


@pytest.mark.parametrize("values", [[NAN], [INF], [-INF], [NAN, INF]])
def test_without_a_finite_value_nothing_is_drawn_as_a_line(values):
    line = np.resize(np.array(values), 20)
    for spec in (bare(traces=[Trace(0, line=line)]), bare(traces=[Trace(0, low=line, high=line)])):
        found = roles(plot(spec, 10, 4))
        assert not any(role.startswith(("series", "raw", "fill")) for role in found)
        assert ("critical" in found) == np.isinf(line).any()


def test_a_loss_curve_with_all_that_belongs_to_it():
    width, height = 60, 10
    area = plot_area(width, height, 3, 11)
    x = np.linspace(0.0, 1.0, area.dots)
    line = 2.0 + 1.5 * np.exp(-4.0 * x)
    high = line + 0.1
    high[50] = 3.4
    bad = np.zeros(area.dots, dtype=bool)
    bad[70] = True
    spec = Plot(
        [Trace(0, line=line, low=line - 0.1, high=high, bad=bad, label="train", value="2.027")],
        2.0, 3.5, x_ticks=x_ticks("step", column_grid(0, 5000, area.dots), 0.0, area.width),
        thresholds=[Threshold(3.0, "goal")], marks=[Mark(30, "◆", "ok"), Mark(60, "▲", "critical")],
        y_labels=3, end_labels=11,
    )
    picture = plot(spec, width, height)
    assert drawn(spec, width, height) == golden(LOSS)
    assert roles_of_row(picture, 9)[0] == ("0", "axis")
    assert {"series-1", "raw-1", "grid", "axis", "critical", "ok", "dim"} <= roles(picture)


LOSS = """
3.5 ⠣⡀┈┈┈┈┈┈┈┈┈┈┈┈┈◆┈┈┈┈┈┈┈┈┈⡄┈┈┈┈▲┈┈┈┈×┈┈┈┈┈┈┈┈
    ⠈⠑⢄⣄           ┊         ⡇    ┊
      ⠹⠣⡀⡀ goal    ┊         ⡇    ┊
3.0 ╌╌╌⠈⠈⠢⡀⣄╌╌╌╌╌╌╌┊╌╌╌╌╌╌╌╌╌⡇╌╌╌╌┊╌╌╌╌╌╌╌╌╌╌╌╌╌
         ⠈⠈⠒⢄⣦⣀    ┊         ⡇    ┊
2.5 ┈┈┈┈┈┈┈⠈⠛⠉⠢⢄⡀⣄⣀┊┈┈┈┈┈┈┈┈┈⡇┈┈┈┈┊┈┈┈┈┈┈┈┈┈┈┈┈┈
              ⠈⠛⠈⠑⠢⢄⣀⣦⣤⣀⣀    ⡇    ┊
                  ⠉⠛⠻⠉⠑⠒⠢⠤⢄⣀⣀⡀⣦⣤⣤⣤⣄⣀⣀⣀⣀⣀⣀
2.0 ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┊┈┈┈⠈⠉⠉⠛⠛⠻⠈⠉⠉⠉⠒⠒⠒⠒⠒⠢⠤⠤⠤⠤⠤⠤⠤⠤⠤╴train 2.027
    0              2k               4k
"""


def test_of_several_traces_the_first_lies_on_top():
    traces = [Trace(k, line=np.full(20, 0.5)) for k in (2, 0, 1)]
    assert roles(plot(bare(traces=traces), 10, 3)) == {"blank", "grid", "series-3"}


def test_colours_count_on_from_the_first_after_the_last():
    assert "series-2" in roles(plot(bare(traces=[Trace(7, line=np.full(20, 0.5))]), 10, 3))


def test_a_line_turns_critical_above_its_limit_only():
    line = np.array([0.0] * 10 + [1.0] * 10)
    spec = bare(traces=[Trace(0, line=line, critical_above=0.5)])
    picture = plot(spec, 10, 2)
    assert [role for _, role in roles_of_row(picture, 0)][-1] == "critical"
    assert ("series-1") in [role for _, role in roles_of_row(picture, 1)]
    calm = plot(bare(traces=[Trace(0, line=line, critical_above=2.0)]), 10, 2)
    assert "critical" not in roles(calm)


def test_an_area_is_shaded_from_the_line_to_zero_by_row():
    line = np.full(8, 1.0)
    spec = bare(traces=[Trace(0, line=line, filled=True)])
    picture = plot(spec, 4, 8)
    assert drawn(bare(traces=[Trace(0, line=line, filled=True)]), 4, 2) == "⠉⠉⠉⠉\n⢕⢕⢕⢕"
    below = [role for y in range(1, 7) for _, role in roles_of_row(picture, y)]
    assert [role[-1] for role in below] == sorted(role[-1] for role in below)
    assert set(below) == {"fill-1-a", "fill-1-b", "fill-1-c", "fill-1-d"}


def test_an_area_of_losses_hangs_from_zero():
    spec = bare(low=-1.0, high=1.0, traces=[Trace(0, line=np.full(8, -1.0), filled=True)])
    assert drawn(spec, 4, 4) == "\n⢄⢄⢄⢄\n⣀⣀⣀⣀\n"
