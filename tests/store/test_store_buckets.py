"""Buckets on their own: folding, joining, and the pauses they remember."""

from __future__ import annotations

import numpy as np
from feeding import T0, Session
from hypothesis import given
from hypothesis import strategies as st

from llmtop.store import Store, buckets
from llmtop.store.columns import Sheet, Spans
from llmtop.store.points import Points

SHORTENED = 3.0
"""Seconds that rounding takes from a pause a million seconds in: half a second in each of five
joins and a fold."""


def pause_of(block: buckets.Block) -> tuple[np.ndarray, np.ndarray]:
    pair = block[buckets.PAUSE].view(np.float32).reshape(-1, 2).astype(np.float64)
    return block[buckets.TIME_LOW] + pair[:, 0], block[buckets.TIME_LOW] + pair[:, 1]


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    st.lists(st.integers(1, 29), max_size=8), st.booleans(),
)
def test_no_point_is_ever_inside_a_pause(offsets, cuts, ordered):
    time = np.array(sorted(offsets) if ordered else offsets) + T0
    at = np.array(sorted({0, *(cut for cut in cuts if cut < len(time))}))
    points = Points(time, np.arange(len(time)), np.ones(len(time)))
    block = buckets.fold(points, at)
    spans = list(zip(at.tolist(), [*at[1:].tolist(), len(time)], strict=True))
    while True:
        starts, stops = pause_of(block)
        for (first, final), start, stop in zip(spans, starts, stops, strict=True):
            inside = time[first:final]
            assert not ((inside > start) & (inside < stop)).any()
            if ordered and final - first > 1:
                assert stop - start >= np.diff(inside).max() - SHORTENED
        if len(spans) < 2:
            return
        pairs = len(spans) // 2 * 2
        block = buckets.join(
            [column[0:pairs:2] for column in block], [column[1:pairs:2] for column in block]
        )
        spans = [(spans[k][0], spans[k + 1][1]) for k in range(0, pairs, 2)]


def test_a_lone_point_before_a_long_pause_is_still_drawn():
    store = Store(memory_bytes=4 << 20)
    session = Session(store)
    session.log("x", [7.0], times=[T0])
    session.log("x", np.ones(30_000), times=T0 + 5000 + np.arange(30_000) * 0.01)
    session.commit()
    columns = session.series("x").buckets("time", T0, T0 + 5300, 53)
    assert columns.high[0] == 7.0
    assert np.isnan(columns.high[1:49]).all()
    assert columns.n.sum() == 30_001


def test_a_span_shares_its_count_out_and_its_extremes_not():
    sheet = Sheet(0.0, 10.0, 10)
    one = [np.array([value]) for value in (2.5, 5.5, -1.0, 9.0, 8.0, 3.0, 4.0, 2.0)]
    sheet.add_spans(Spans(*one))
    columns = sheet.columns()
    assert columns.n.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert columns.bad.sum() == 2.0
    assert columns.low[2:6].tolist() == [-1.0] * 4
    assert columns.mean[2:6].tolist() == [2.0] * 4
    assert np.isnan(columns.low[[0, 1, 6, 9]]).all()


def test_the_end_belongs_to_the_last_column():
    sheet = Sheet(0.0, 3.0, 3)
    sheet.add_points(np.array([0.0, 1.0, 3.0, 3.1]), np.arange(4.0), ordered=True, finite=True)
    assert sheet.columns().last.tolist() == [0.0, 1.0, 2.0]
    sheet.add_spans(Spans(*(np.array([value]) for value in (3.0, 4.0, 5, 5, 10, 5, 2, 0))))
    assert sheet.columns().high.tolist() == [0.0, 1.0, 5.0]
