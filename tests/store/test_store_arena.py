"""The allocator: blocks never overlap, and freed neighbours become large blocks again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmtop.store.arena import Arena
from llmtop.store.points import changes, ranges, starts_of

WORDS = 1 << 12


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([3, 9, 64, 200]), st.integers(1, 8))))
def test_blocks_never_overlap_and_used_is_what_is_out(actions):
    arena = Arena(WORDS * 8)
    out: list[tuple[int, int]] = []
    for take, size, count in actions:
        if take:
            out += [(at, size) for at in arena.take(size, count).tolist()]
        else:
            back = [block for block in out if block[1] == size][:count]
            arena.give(size, np.array([at for at, _ in back], dtype=np.int64))
            out = [block for block in out if block not in back]
        words = [word for at, length in out for word in range(at, at + length)]
        assert len(words) == len(set(words)) == arena.used
        assert all(0 <= word < WORDS for word in words)


def test_freed_neighbours_become_one_block():
    arena = Arena(WORDS * 8)
    blocks = arena.take(64, WORDS // 64 + 5)
    assert len(blocks) == WORDS // 64
    assert len(arena.take(64)) == 0
    arena.give(64, blocks[10:20])
    assert len(arena.take(640)) == 1
    assert arena.used == WORDS


@given(st.lists(st.tuples(st.integers(-5, 50), st.integers(0, 6)), min_size=1))
def test_ranges_lie_end_to_end(pieces):
    first = np.array([piece[0] for piece in pieces])
    counts = np.array([piece[1] for piece in pieces])
    expected = [start + k for start, count in pieces for k in range(count)]
    assert ranges(first, counts).tolist() == expected
    assert starts_of(counts).tolist() == [sum(counts[:k]) for k in range(len(counts))]


@given(st.lists(st.integers(-2, 2)))
def test_changes_are_where_a_value_differs_from_the_one_before(values):
    expected = [k for k in range(len(values)) if k == 0 or values[k] != values[k - 1]]
    assert changes(np.array(values, dtype=np.int64)).tolist() == expected
