"""Which marks may occur in a text: no mark that is there is missed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmtop.formats.marks import possible, squeeze
from llmtop.formats.table import load_table

MARKS = sorted({mark for known in load_table().lines for mark in known.marks})
WORDS = st.one_of(st.sampled_from(MARKS), st.text(max_size=8), st.integers().map(str))


@given(st.lists(WORDS, max_size=30).map("".join))
def test_what_is_there_is_possible(text: str) -> None:
    there = [mark for mark in MARKS if any(mark in line for line in text.split("\n"))]
    assert set(there) <= set(possible(MARKS, squeeze(text)))


def test_numbers_and_repetitions_do_not_count() -> None:
    lines = [f"slot {n} | n_gen = {n * 7}, tg_3s = {n}.5" for n in range(1000)]
    squeezed = squeeze("\n".join(lines))
    assert len(squeezed) < 100
    assert possible(MARKS, squeezed) == tuple(
        mark for mark in MARKS if mark in (", tg_3s = ", "=")
    )
