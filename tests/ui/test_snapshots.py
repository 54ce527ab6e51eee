"""A dozen pictures of the whole screen: what a change does to the look is seen in review.

`pytest tests/ui/test_snapshots.py --snapshot-update` renews them after a look at the report.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scenes import World, serving, training
from test_ranks import fleet

Compare = Callable[..., bool]
SIZES = {"160x45": (160, 45), "120x40": (120, 40), "80x24": (80, 24)}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_one_run(snap_compare: Compare, size: tuple[int, int]) -> None:
    world = World()
    training(world)
    assert snap_compare(world.app(), terminal_size=size)


@pytest.mark.parametrize("size", [SIZES["160x45"], SIZES["80x24"]], ids=["160x45", "80x24"])
def test_several_runs(snap_compare: Compare, size: tuple[int, int]) -> None:
    world = World()
    training(world)
    serving(world)
    world.end(training(world, "sweep-03", seed=7, steps=900), "died", "process 4123 is gone")
    assert snap_compare(world.app(), terminal_size=size)


def test_a_server(snap_compare: Compare) -> None:
    world = World()
    serving(world)
    assert snap_compare(world.app(), terminal_size=SIZES["160x45"])


def test_train_screen_with_cursor(snap_compare: Compare) -> None:
    world = World()
    training(world)
    assert snap_compare(world.app(), press=["2", "c", "left", "left", "left"],
                        terminal_size=SIZES["120x40"])


@pytest.mark.parametrize("theme", ["paper", "contrast", "mono"])
def test_themes(snap_compare: Compare, theme: str) -> None:
    world = World()
    training(world)
    assert snap_compare(world.app(theme), terminal_size=SIZES["80x24"])


def test_nothing_yet(snap_compare: Compare) -> None:
    assert snap_compare(World().app(), terminal_size=SIZES["80x24"])


def test_help(snap_compare: Compare) -> None:
    assert snap_compare(World().app(), press=["question_mark"], terminal_size=SIZES["120x40"])


def test_a_fleet_and_one_of_its_ranks(snap_compare: Compare) -> None:
    assert snap_compare(fleet(200).app(), press=["2", "r", "r"], terminal_size=SIZES["120x40"])
