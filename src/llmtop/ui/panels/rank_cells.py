"""Where each rank's cell stands: hosts side by side, several ranks a cell where there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MARGIN = 1
"""Cells left free at either side."""
LABEL_CELLS = 14
"""Cells of the longest host name."""
TEN = 10
"""Cells together where one holds ranks of several hosts."""
UNSEEN_TOGETHER = 8
"""Ranks together whose hosts are not known yet: what a host has more often than not."""


class Block(NamedTuple):
    """Cells that stand together, and what stands before them."""

    label: str
    cells: tuple[tuple[int, ...], ...]
    """The ranks of each."""


class Strip(NamedTuple):
    """Rows of blocks."""

    rows: tuple[tuple[Block, ...], ...]
    label_cells: int
    """Cells before a block that has a label, its gap included."""
    each: int
    """Ranks of a full cell."""
    labelled: bool
    """Every block has its label, not only the first of a row."""

    def at(self, x: int, y: int) -> tuple[int, ...]:
        """Return the ranks of the cell at column `x` of row `y`, () where there is none."""
        if not 0 <= y < len(self.rows):
            return ()
        here = MARGIN
        for block in self.rows[y]:
            here += self.label_cells if block.label else 0
            if here <= x < here + len(block.cells):
                return block.cells[x - here]
            here += len(block.cells) + self.gap
        return ()

    @property
    def gap(self) -> int:
        """Cells between two blocks."""
        return 2 if self.labelled else 1


def hosts_of(world: Sequence[int], hosts: Mapping[int, str]) -> list[tuple[str, list[int]]]:
    """Return the ranks of each host, by its lowest; those never seen are last, in small lots."""
    if len(set(hosts.values())) <= 1:
        return [(next(iter(hosts.values()), "") or "ranks", list(world))]
    found: dict[str, list[int]] = {}
    unseen = [rank for rank in world if rank not in hosts]
    for rank in world:
        if rank in hosts:
            found.setdefault(hosts[rank], []).append(rank)
    return [*found.items(), *(
        ("not seen", unseen[at : at + UNSEEN_TOGETHER])
        for at in range(0, len(unseen), UNSEEN_TOGETHER)
    )]


def strip(hosts: Sequence[tuple[str, list[int]]], width: int, lines: int) -> Strip:
    """Return the finest strip of at most `lines` rows.

    Each host has its name where there is room; else a row is named by its first host. A cell holds
    1, 2, 4 ... ranks of one host; where even a cell a host is too much, of several.
    """
    most = max((len(ranks) for _, ranks in hosts), default=1)
    names = max((len(name) for name, _ in hosts), default=0)
    label_cells = min(names, LABEL_CELLS) + 1
    packed = _pack(_blocks(hosts, 1), width, label_cells, labelled=True)
    if len(packed) <= lines:
        return Strip(packed, label_cells, 1, True)
    each = 1
    while True:
        if each < most:
            blocks = _blocks(hosts, each)
        else:
            ranks = [rank for _, some in hosts for rank in some]
            blocks = _blocks([(f"rank {ranks[i]}", ranks[i : i + TEN * each])
                              for i in range(0, len(ranks), TEN * each)], each)
            label_cells = max(len(block.label) for block in blocks) + 1
        packed = _pack(blocks, width, label_cells, labelled=False)
        if len(packed) <= lines or each > sum(len(ranks) for _, ranks in hosts):
            return Strip(packed, label_cells, each, False)
        each *= 2


def _blocks(hosts: Sequence[tuple[str, list[int]]], each: int) -> list[Block]:
    return [Block(name, tuple(tuple(ranks[i : i + each]) for i in range(0, len(ranks), each)))
            for name, ranks in hosts]


def _pack(
    blocks: Sequence[Block], width: int, label_cells: int, *, labelled: bool
) -> tuple[tuple[Block, ...], ...]:
    """Put blocks into rows of `width` cells; one that is longer than a row is cut."""
    room = max(1, width - 2 * MARGIN - label_cells)
    gap = 2 + label_cells if labelled else 1
    rows: list[list[Block]] = []
    left = 0
    for block in blocks:
        for start in range(0, len(block.cells), room):
            cells = block.cells[start : start + room]
            if not rows or len(cells) + gap > left:
                rows.append([Block(block.label, cells)])
                left = room - len(cells)
            else:
                rows[-1].append(Block(block.label if labelled else "", cells))
                left -= len(cells) + gap
    return tuple(map(tuple, rows))
