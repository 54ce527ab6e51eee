"""Rows keep exactly the width they are given."""

from hypothesis import given
from hypothesis import strategies as st

from llmtop.ui.rows import clip, fit, plain, spread, width

ROWS = st.lists(st.tuples(st.text("abc …é漢字▰", max_size=8), st.just("text")), max_size=5)


@given(ROWS, st.integers(0, 30))
def test_fit_is_exact(row: list[tuple[str, str]], cells: int) -> None:
    assert width(fit(row, cells)) == cells


@given(ROWS, ROWS, st.integers(0, 30))
def test_spread_is_exact(left: list[tuple[str, str]], right: list[tuple[str, str]],
                         cells: int) -> None:
    assert width(spread(left, right, cells)) == cells


def test_what_is_cut_says_so() -> None:
    assert plain([clip([("gradient norm", "text")], 9)]) == "gradient…"
    assert plain([spread([("left side", "a")], [("end", "b")], 10)]) == "left…  end"


def test_what_a_terminal_would_obey_is_not_drawn() -> None:
    hostile = "\x1b]0;title\x07a\x9b2Jb\u202ec\nd"
    assert plain([clip([(hostile, "text")], 40)]) == "]0;titlea2Jbc d"
    assert width(fit([(hostile, "text")], 20)) == 20
