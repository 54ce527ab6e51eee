"""Panels fill their area exactly, whatever its size."""

from hypothesis import given
from hypothesis import strategies as st

from llmtop.ui.layout import Box, capacity, grid, row_counts, tile

SIZES = st.tuples(st.integers(1, 300), st.integers(1, 100))


@given(SIZES, st.integers(1, 30))
def test_tiles_cover_the_area_once(size: tuple[int, int], wanted: int) -> None:
    counts = row_counts(wanted, size)
    boxes = tile(Box(0, 0, *size), counts)
    assert 1 <= len(boxes) == sum(counts) <= max(1, capacity(size))
    cells = [(x, y) for b in boxes for x in range(b.x, b.x + b.width)
             for y in range(b.y, b.y + b.height)]
    assert len(cells) == len(set(cells)) == size[0] * size[1]


@given(SIZES, st.integers(1, 40))
def test_grid_keeps_every_panel_and_overlaps_none(size: tuple[int, int], count: int) -> None:
    boxes = grid(Box(0, 0, *size), count)
    assert len(boxes) == count
    cells = [(b.x, b.y) for b in boxes]
    assert len(set(cells)) == count
    assert all(b.x + b.width <= size[0] for b in boxes)


def test_the_usual_terminals() -> None:
    assert row_counts(5, (160, 40)) == [2, 3]
    assert row_counts(3, (80, 21)) == [1, 2]
    assert row_counts(9, (80, 21)) == [1, 2, 2]
    assert row_counts(1, (20, 3)) == [1]
