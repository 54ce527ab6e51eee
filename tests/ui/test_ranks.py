"""A fleet: its ranks as cells, and the way down to one of them."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import SECONDS_A_STEP, T0, World
from test_panels import check
from test_ui_keys import running

from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo
from llmtop.ui.panels import chart, header, ranks
from llmtop.ui.panels.base import Size
from llmtop.ui.panels.rank_cells import hosts_of, strip
from llmtop.ui.rows import plain, width
from llmtop.ui.shown import Shown
from llmtop.ui.specs import ChartSpec, specs

SLOW, HUNG, DEAD = 21, 45, 58


def fleet(count: int = 64, absent: int = 0, steps: int = 60) -> World:
    """A run of `count` ranks, eight a host; one is slow, one stands still, one died."""
    world = World()
    world.commits = False
    rng = np.random.default_rng(7)
    for rank in range(count):
        key = f"rank{rank}"
        info = RunInfo(key, "llama-70b", f"node-{rank // 8:03}", 4000 + rank, rank,
                       count + absent, started=T0)
        world._apply(runs=(info,), alive=(key,))
        done = steps // 2 if rank == HUNG else steps - 9 if rank == SLOW else steps
        usual = 0.5 + 0.01 * rng.random(done)
        world.log(key, "step_time_seconds", usual * (1.7 if rank == SLOW else 1.0))
        world.log(key, "loss", 5 - 0.02 * np.arange(done) + 0.01 * rng.normal(size=done))
    world.store.commit(world.clock.now)
    world.commits = True
    if count > DEAD:
        world.end(f"rank{DEAD}", "died")
    alive = tuple(f"rank{rank}" for rank in range(count) if rank != DEAD)
    world.store.apply(0, Batch(alive=alive), world.clock.now)
    world.store.commit(world.clock.now)
    return world


def test_eight_hosts_on_one_line() -> None:
    world = fleet()
    check("ranks-64", ranks.frame(world.scene(rank=SLOW), Size(160, 3)))
    assert ranks.lines(world.scene(), 160, 42) == 3


def test_a_thousand_ranks_have_a_cell_each_where_there_is_room() -> None:
    world = fleet(1000, steps=40)
    scene = world.scene(rank=HUNG)
    check("ranks-1000", ranks.frame(scene, Size(160, ranks.lines(scene, 160, 42))))
    assert ranks.lines(scene, 160, 42) == 10
    small = ranks.lines(scene, 80, 21)
    assert small <= 5
    check("ranks-1000-narrow", ranks.frame(scene, Size(80, small)))


def test_in_a_cell_of_several_the_worst_is_seen_and_a_missing_one_not_hidden() -> None:
    world = fleet(56, absent=200)
    rows = [plain([row]) for row in ranks.frame(world.scene(), Size(60, 3))]
    assert "8 a cell" in rows[0]
    assert rows[1].split()[2:] == ["■■●■■▼■···", "··········", "··········", "··"]


@pytest.mark.parametrize("size", [(200, 60), (160, 42), (80, 21), (40, 10), (20, 5), (1, 1)])
def test_every_rank_is_in_one_cell_and_a_click_finds_it(size: tuple[int, int]) -> None:
    hosts = hosts_of(range(1000), {rank: f"node-{rank // 6}" for rank in range(900)})
    lines = max(1, size[1] // 4)
    cells = strip(hosts, size[0], lines)
    assert len(cells.rows) <= lines or size[0] < 20
    found = [rank for row in cells.rows for block in row for some in block.cells for rank in some]
    assert sorted(found) == list(range(1000))
    seen = [rank for y in range(len(cells.rows)) for x in range(1200) for rank in cells.at(x, y)]
    assert seen == found


def test_rows_fit_whatever_the_size() -> None:
    world = fleet(200, absent=56)
    for cells in range(30, 200, 3):
        for lines in (1, 2, 3, 5, 9):
            rows = ranks.frame(world.scene(rank=3), Size(cells, lines))
            assert all(width(row) <= cells for row in rows)


def test_charts_show_a_rank_beside_minimum_median_and_maximum() -> None:
    world = fleet()
    for rank, name in ((None, "step-time-all"), (SLOW, "step-time-rank")):
        scene = world.scene(rank=rank)
        spec = next(one for one in specs(scene.shown) if one.key == "step_time")  # type: ignore[arg-type]
        check(name, chart.frame(spec, scene, Size(100, 12)))
        head = chart.head(spec, scene, Size(100, 12))
        assert head == chart.frame(spec, scene, Size(100, 12))[0]


def test_a_rank_whose_loss_is_nan_marks_the_chart_of_all() -> None:
    world = fleet(16)
    world.log("rank3", "loss", np.full(5, np.nan), steps=np.arange(60, 65),
              times=T0 + 30 + np.arange(5) * SECONDS_A_STEP)
    scene = world.scene()
    spec = next(one for one in specs(scene.shown) if one.key == "loss")  # type: ignore[arg-type]
    rows = chart.frame(spec, scene, Size(60, 10))
    assert any(role == "critical" for row in rows[1:3] for _, role in row)


async def test_keys_go_to_the_worst_to_neighbours_to_hosts_and_back() -> None:
    async with running(fleet()) as (app, press, _):
        await press("2")
        seen = []
        for _ in range(4):
            await press("r")
            seen.append(app.view.rank)
        assert seen == [HUNG, SLOW, DEAD, HUNG]
        await press("right_square_bracket")
        assert app.view.rank == HUNG + 1
        await press("left_square_bracket", "left_square_bracket")
        assert app.view.rank == HUNG - 1
        await press("right_curly_bracket")
        assert app.view.rank == 48
        await press("left_curly_bracket", "left_curly_bracket")
        assert app.view.rank == 32
        rows = app._board.panels["ranks"]._rows
        assert "node-004" in plain(rows[-1:])
        assert "rank 32" in plain(app._board.panels["step_time"]._rows[:1])
        await press("escape")
        assert app.view.rank is None
        assert app.view.screen == "train"
        await press("left_square_bracket")
        assert app.view.rank == 63
        await press("down", "up")
        assert app.view.rank == 63


async def test_without_ranks_the_keys_do_nothing() -> None:
    async with running() as (app, press, _):
        await press("2", "r", "left_square_bracket", "right_curly_bracket")
        assert app.view.rank is None


async def test_a_click_on_a_cell_chooses_its_rank() -> None:
    async with running(fleet()) as (app, press, pilot):
        await press("2")
        strip_panel = app._board.panels["ranks"]
        row = "".join(text for text, _ in strip_panel._rows[1])
        assert row.index("▼") > 0
        await pilot.click(strip_panel, offset=(row.index("▼"), 1))
        assert app.view.rank == HUNG
        await pilot.click(strip_panel, offset=(2, 1))
        assert app.view.rank == HUNG


def test_clocks_that_differ_are_told_of_the_worst_and_of_the_one_looked_at() -> None:
    world = fleet()
    world._apply(clocks=(("rank17", 3.2), ("rank18", -0.4), ("rank30", -2.0)))
    rows = [plain([row]) for row in ranks.frame(world.scene(rank=30), Size(200, 3))]
    assert "● clock of node-002 3.2 s ahead and 1 more" in rows[0]
    assert "clock 2.0 s behind" in rows[2]
    assert "clock" not in plain(ranks.frame(world.scene(rank=18), Size(200, 3))[2:])
    alone = World()
    alone.log(alone.run("far", host="gpu-box"), "loss", np.ones(9))
    alone._apply(clocks=(("far", 90.0),))
    assert "clock of gpu-box 90.0 s ahead" in plain(header.frame(alone.scene(), Size(120, 2)))


async def test_time_that_goes_back_breaks_no_picture() -> None:
    world = fleet(16)
    world.log("rank3", "loss", np.arange(4.0), steps=np.arange(60, 64),
              times=T0 + np.array([40.0, -3600.0, 20.0, 41.0]))
    async with running(world) as (app, press, pilot):
        await press("2", "x", "r")
        assert app.view.axis == "time"
        world.clock.now -= 7200
        world.log("rank3", "loss", np.arange(4.0), steps=np.arange(64, 68),
                  times=np.full(4, world.clock.now))
        app.tick()
        await pilot.pause()
        drawn = plain(app._board.panels["loss"]._rows)
        assert sum("\u2800" < char <= "\u28ff" for char in drawn) > 20
        assert world.store.runs[0].state == "live"


def test_counters_are_summed_and_distributions_compared_by_their_means() -> None:
    world = World()
    for rank in range(4):
        key = f"rank{rank}"
        world._apply(runs=(RunInfo(key, "wide", rank=rank, world_size=4, started=T0),))
        world.log(key, "generated_tokens", np.full(200, 10.0), kind="counter")
        world.log(key, "ttft_seconds", np.full(200, 0.1 * (rank + 1)), kind="distribution")
    for rank, ttft in ((None, "median 250 ms  100–400"), (3, "rank 3 400 ms  median 250  100–400")):
        scene = world.scene(rank=rank)
        heads = {spec.key: plain(chart.frame(spec, scene, Size(90, 9))[:1])
                 for spec in specs(scene.shown)}  # type: ignore[arg-type]
        assert ("─ sum " in heads["generation"]) == (rank is None)
        assert f"─ {ttft} ─" in heads["ttft"]


async def test_the_overview_shows_the_ranks_too_where_there_is_room() -> None:
    async with running(fleet(200)) as (app, press, pilot):
        panel = app._board.panels["ranks"]
        while not panel._rows:
            await pilot.pause(0.01)
        assert "▼ 1 hung" in plain(panel._rows)
        await press("r")
        assert app.view.rank == HUNG
        assert f"rank {HUNG}" in plain(app._board.panels["loss"]._rows[:1])
    async with running(fleet(16), (80, 24)) as (app, press, _):
        assert "ranks" not in app._board.panels
        await press("2")
        assert "ranks" in app._board.panels


def test_what_stands_for_a_run_is_looked_up_anew_only_when_that_may_have_changed() -> None:
    world = fleet(4)
    world._apply(series=(SeriesInfo(900, "rank0", "grad_norm"),))
    first = world.scene().shown
    assert first is not None
    run = first.run
    world.log("rank1", "loss", np.ones(3), steps=np.arange(60, 63), times=T0 + 40 + np.arange(3.0))
    second = first.still(run) or Shown(run)
    assert second.extent("step")[1] == 62
    assert second.still(run) is second
    world._apply(samples=Samples(np.array([900], np.uint32), np.array([T0]), np.array([1]),
                                 np.array([0.5])))
    assert second.still(run) is None
    assert second.still(None) is None
    assert "grad_norm" in Shown(run).named


def test_a_ratio_is_of_all_ranks_together() -> None:
    world = World()
    for rank, hits in enumerate((0.0, 10.0)):
        key = f"rank{rank}"
        about = RunInfo(key, "served", rank=rank, world_size=2, phase="serve", started=T0)
        world._apply(runs=(about,))
        world.log(key, "prefix_cache_hits", np.full(50, hits), kind="counter")
        world.log(key, "prefix_cache_queries", np.full(50, 10.0), kind="counter")
    spec = ChartSpec("prefix", "hit rate", "fraction", "ratio",
                     ("prefix_cache_hits", "prefix_cache_queries"))
    for rank, told in ((None, "─ 50.0 %"), (1, "─ 100")):
        assert told in plain(chart.frame(spec, world.scene(rank=rank), Size(90, 9))[:1])
