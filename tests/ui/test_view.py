"""Zoom and pan stay inside the data and never lose the newest point by themselves."""

from hypothesis import given
from hypothesis import strategies as st

from llmtop.ui.view import View, panned, visible, zoomed

EXTENT = (0.0, 1000.0)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(0.2, 5), st.floats(0, 1)),
        st.tuples(st.just("pan"), st.floats(-2, 2), st.just(0.0)),
    ),
    max_size=20,
)


@given(MOVES)
def test_window_stays_inside_the_data(moves: list[tuple[str, float, float]]) -> None:
    view = View()
    for name, amount, at in moves:
        view = (zoomed(view, EXTENT, "step", amount, at) if name == "zoom"
                else panned(view, EXTENT, amount))
        start, stop = visible(view, EXTENT)
        assert EXTENT[0] - 1e-6 <= start < stop <= EXTENT[1] + 1e-6


def test_zoom_at_the_right_edge_goes_on_following() -> None:
    view = zoomed(View(), EXTENT, "step", 0.5)
    assert view.follows
    assert visible(view, EXTENT) == (500.0, 1000.0)
    assert visible(view, (0.0, 2000.0)) == (1500.0, 2000.0)


def test_pan_left_stands_still_and_pan_back_follows() -> None:
    view = panned(zoomed(View(), EXTENT, "step", 0.5), EXTENT, -0.2)
    assert not view.follows
    assert visible(view, (0.0, 5000.0)) == (400.0, 900.0)
    assert panned(view, EXTENT, 1.0).follows


def test_zooming_out_far_enough_shows_everything() -> None:
    view = zoomed(zoomed(View(), EXTENT, "step", 0.1, 0.5), EXTENT, "step", 100)
    assert (view.window, view.span) == (None, None)
