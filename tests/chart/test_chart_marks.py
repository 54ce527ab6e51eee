"""What stands beside the data: thresholds, events, bad samples, the crosshair, labels."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import bare, drawn, golden, roles, roles_of_row

from llmtop.chart import Mark, Plot, Threshold, Trace, plot


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_samples_leave_a_mark_on_the_top_edge(value):
    bad = np.zeros(20, dtype=bool)
    bad[[4, 5, 17]] = True
    line = np.full(20, 0.0)
    line[bad] = value
    picture = plot(bare(traces=[Trace(0, line=line, bad=bad)]), 10, 2)
    assert picture.lines()[0] == "┈┈×┈┈┈┈┈×┈"
    assert ("×", "critical") in roles_of_row(picture, 0)


def test_an_event_is_a_glyph_with_a_hairline_that_spares_the_data():
    line = np.full(40, 0.5)
    picture = plot(bare(traces=[Trace(0, line=line)], marks=[Mark(11, "◆", "ok")]), 20, 5)
    assert [row[5] for row in picture.lines()[:4]] == ["◆", "┊", "⠉", "┊"]


def test_of_two_events_in_a_cell_the_worse_is_shown():
    marks = [Mark(4, "▲", "critical"), Mark(5, "◆", "ok")]
    for order in (marks, marks[::-1]):
        assert "▲" in plot(bare(traces=[], marks=order), 20, 3).lines()[0]


def test_many_events_keep_their_glyphs_but_not_their_hairlines():
    many = [Mark(x, "◆", "ok") for x in range(0, 40, 4)] + [Mark(38, "▲", "critical")]
    lines = plot(bare(traces=[], marks=many), 20, 5).lines()
    assert lines[0].count("◆") == 10
    assert "┊" not in lines[1].replace(lines[1][19], "")
    assert lines[1][19] == "┊"


def test_events_outside_the_chart_are_not_drawn():
    empty = drawn(bare(traces=[]), 20, 3)
    assert drawn(bare(traces=[], marks=[Mark(-1, "◆", "ok"), Mark(40, "◆", "ok")]), 20, 3) == empty


def test_a_threshold_is_dashed_between_the_data_and_named_where_there_is_room():
    line = np.full(32, 0.45)
    line[:6] = 1.0
    spec = bare(traces=[Trace(0, line=line)], thresholds=[Threshold(1.0, "SLO")])
    assert drawn(spec, 16, 5) == golden(
        """
        ⠉⠉⢹╌╌╌╌╌╌╌╌╌╌╌╌╌
          ⠈⡆ SLO
           ⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉
        ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈

        """)
    assert "raw-3" in roles(plot(spec, 16, 5))


@pytest.mark.parametrize("value", [2.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_outside_the_range_is_not_drawn(value):
    spec = bare(traces=[], thresholds=[Threshold(value, "SLO")])
    assert drawn(spec, 16, 5) == drawn(bare(traces=[]), 16, 5)


def test_the_crosshair_spares_the_data_and_reads_out_below():
    spec = bare(traces=[Trace(0, line=np.full(40, 1.0))], cursor=20, readout="step 31,200",
                x_ticks=[(0, "0"), (20, "20k"), (39, "40k")])
    picture = plot(spec, 20, 4)
    assert [row[10] for row in picture.lines()[:3]] == ["⠉", "│", "│"]
    assert picture.lines()[3] == "0    step 31,200 40k"
    assert ("step 31,200", "cursor") in roles_of_row(picture, 3)


def test_x_labels_that_would_touch_are_left_out():
    spec = bare(traces=[], x_ticks=[(0, "0"), (10, "10k"), (14, "15k"), (39, "40k")])
    assert plot(spec, 20, 4).lines()[3] == "0   10k          40k"


def test_end_labels_name_the_lines_and_never_overlap():
    lines = [Trace(k, line=np.full(200, 0.5), label=f"p{k}", value=f"{k} ms") for k in range(3)]
    spec = Plot(lines, 0.0, 1.0, y_labels=3, end_labels=9)
    picture = plot(spec, 60, 8)
    ends = [row[50:].rstrip() for row in picture.lines()]
    assert sorted(end for end in ends if end) == ["╴p0 0 ms", "╴p1 1 ms", "╴p2 2 ms"]
    row = next(y for y, end in enumerate(ends) if "p1" in end)
    assert roles_of_row(picture, row)[-1] == ("1 ms", "series-2")


def test_an_end_label_too_long_ends_in_an_ellipsis():
    spec = Plot([Trace(0, line=np.full(200, 0.5), label="mean_token_accuracy")], 0.0, 1.0,
                end_labels=9)
    assert any(row.endswith("╴mean_tok…") for row in plot(spec, 60, 8).lines())


def test_a_limit_that_is_passed_colours_the_end_label():
    trace = Trace(0, line=np.full(200, 0.9), label="p99", value="287", critical_above=0.5)
    picture = plot(Plot([trace], 0.0, 1.0, end_labels=9), 60, 8)
    assert ("287", "critical") in [run for y in range(7) for run in roles_of_row(picture, y)]


def test_points_are_single_and_lie_over_lines():
    points = np.full(20, np.nan)
    points[[2, 12]] = 0.0, 1.0
    spec = bare(traces=[Trace(0, line=np.full(20, 1.0)), Trace(1, points=points)])
    assert drawn(spec, 10, 2) == golden(
        """
        ⠉⠉⠉⠉⠉⠉•⠉⠉⠉
        ┈•┈┈┈┈┈┈┈┈
        """)
