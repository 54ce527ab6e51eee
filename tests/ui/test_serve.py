"""The Serve screen: what it places, what it says, at every size."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scenes import T0, World, serving, training

from llmtop.samples import Batch, Bucketed, RunInfo, SeriesInfo
from llmtop.text import render_json, render_text
from llmtop.ui.board import Placed
from llmtop.ui.layout import Box
from llmtop.ui.panels import absent, chart, heatmap, runs, server, unserved
from llmtop.ui.panels.base import Scene, Size
from llmtop.ui.rows import plain, width
from llmtop.ui.screens.serve import place
from llmtop.ui.specs import ChartSpec
from llmtop.units import format_number

SIZES = [(160, 42), (120, 37), (80, 21), (60, 12), (200, 60)]
TTFT = ChartSpec("ttft", "ttft", "seconds", "distribution", ("ttft_seconds",), "down")
BOUNDS = np.array([0.1, 0.25, 0.5, 1.0, 30.0, np.inf])


def placed(scene: Scene, size: tuple[int, int]) -> dict[str, Placed]:
    return {one.key: one for one in place(scene, size)}


def text(scene: Scene, one: Placed) -> str:
    size = Size(one.box.width, one.box.height)
    rows = one.content.frame(scene, size)
    assert all(width(row) <= size.width for row in rows), one.key
    return plain(rows)


def scraped(world: World, counts: list[int], looks: int = 100, **tags: object) -> None:
    """Add a server whose TTFT is known by bucket, a look a second."""
    world._apply(
        runs=(RunInfo("box", "box", phase="serve", source="scrape", started=T0, tags=tags),),
        series=(SeriesInfo(900, "box", "ttft_seconds", "distribution", "seconds", bucketed=True),),
    )
    parts = tuple(
        Bucketed(900, T0 + at, T0 + at + 1, BOUNDS, np.array(counts), float(sum(counts)))
        for at in range(looks)
    )
    world.clock.now = T0 + looks
    world.store.apply(0, Batch(bucketed=parts, alive=("box",)), world.clock.now)
    world.store.commit(world.clock.now)


@pytest.mark.parametrize("size", SIZES)
def test_panels_fill_the_screen_and_lie_in_it(size: tuple[int, int]) -> None:
    world = World()
    serving(world)
    scene = world.scene(screen="serve")
    covered = np.zeros((size[1], size[0]), dtype=int)
    for one in place(scene, size):
        box = one.box
        if box.y < size[1]:
            assert box.x + box.width <= size[0]
            assert box.y + box.height <= size[1]
            covered[box.y : box.y + box.height, box.x : box.x + box.width] += 1
            text(scene, one)
    assert (covered == 1).all()


@pytest.mark.parametrize("size", SIZES[:3])
def test_the_keys_reach_every_panel(size: tuple[int, int]) -> None:
    world = World()
    serving(world)
    order = [one.key for one in place(world.scene(screen="serve"), size) if one.content.focusable]
    assert {"ttft", "itl", "e2e", "heat", "tokens", "requests", "queue", "kv_cache"} <= set(order)
    for key in order:
        here = placed(world.scene(screen="serve", focus=key), size)[key].box
        assert here.y + here.height <= size[1]
        alone = place(world.scene(screen="serve", focus=key, maximised=True), size)
        assert [(one.key, one.box) for one in alone] == [(key, (0, 0, *size))]


def test_the_screen_is_of_a_server_even_when_a_training_is_selected() -> None:
    world = World()
    training(world)
    serving(world)
    trained = next(run.id for run in world.store.runs if run.phase == "train")
    assert world.scene(run=trained).run is not None
    shown = world.scene(screen="serve", run=trained).run
    assert shown is not None
    assert shown.phase == "serve"


def test_without_a_server_it_says_how_to_watch_one() -> None:
    world = World()
    (one,) = place(world.scene(screen="serve"), (100, 30))
    assert one.content is unserved.CONTENT
    assert "llmtop http://HOST:PORT" in text(world.scene(screen="serve"), one)
    training(world)
    scene = world.scene(screen="serve")
    (one,) = place(scene, (100, 30))
    assert "gpt-small is no inference server" in text(scene, one)


def test_what_is_not_there_says_why() -> None:
    world = World()
    serving(world)
    scene = world.scene(screen="serve")
    shown = placed(scene, (160, 42))
    assert "run.request() measures it" in text(scene, shown["tpot"])
    narrow = text(scene, Placed(absent.content("kv", "kv", "e2e_seconds"), Box(0, 0, 36, 9)))
    assert "…" not in narrow, "a reason is told in full"
    assert "t)" in narrow
    world = World()
    scraped(world, [10, 0, 0, 0, 0, 0], missing={"kv_cache_usage": "TGI does not tell it"})
    scene = world.scene(screen="serve")
    shown = placed(scene, (160, 42))
    assert "TGI does not tell it" in text(scene, shown["kv_cache"])
    assert absent.why(scene, "e2e_seconds") == "nothing observed since llmtop looks"


def test_a_small_terminal_shows_requests_at_once_where_there_is_no_cache() -> None:
    world = World()
    scraped(world, [9, 0, 0, 0, 0, 0], missing={"e2e_seconds": "it has no histograms"})
    world.log(world.store.runs[0].name, "requests_running", np.full(20, 2.0))
    scene = world.scene(screen="serve")
    shown = placed(scene, (80, 21))
    assert shown["queue"].box.y < 21 <= shown["kv_cache"].box.y
    assert "where requests spend their time: it has no histograms" in text(scene, shown["server"])
    bare = world.run("bare", phase="serve", tags={"missing": {"e2e_seconds": "it is blind"}})
    world.log(bare, "requests_running", np.full(20, 2.0))
    other = world.scene(screen="serve", run=world.store.runs[-1].id)
    assert "it is blind" in plain(heatmap.frame(other, Size(60, 9)))
    world.log(world.store.runs[0].name, "kv_cache_usage", np.full(20, 0.5))
    shown = placed(world.scene(screen="serve"), (80, 21))
    assert shown["kv_cache"].box.y < 21 <= shown["queue"].box.y


def test_what_a_server_could_do_and_does_not_takes_no_room() -> None:
    world = World()
    serving(world)
    name = world.run("box2", phase="serve")
    for metric in ("spec_decode_accepted_tokens", "spec_decode_draft_tokens"):
        world.log(name, metric, np.zeros(20), kind="counter")
    scene = world.scene(screen="serve", run=world.store.runs[-1].id)
    assert "speculation" not in placed(scene, (160, 60))
    world.log(name, "spec_decode_draft_tokens", np.full(5, 4.0), kind="counter")
    scene = world.scene(screen="serve", run=world.store.runs[-1].id)
    assert "speculation" in placed(scene, (160, 60))
    far = replace(scene, view=replace(scene.view, window=(T0 - 900, T0 - 800)))
    assert "NaN" not in text(far, placed(far, (160, 60))["speculation"])


def test_the_mean_stands_beside_percentiles_where_there_is_room() -> None:
    world = World()
    scraped(world, [5, 3, 1, 1, 0, 0])
    scene = world.scene(screen="serve")
    assert "mean 1.00 s   5 min" in plain(chart.frame(TTFT, scene, Size(90, 12))[:1])
    assert "mean" not in plain(chart.frame(TTFT, scene, Size(53, 12))[:1])
    named = replace(TTFT, title="time to first token")
    for cells in range(40, 100):
        assert "…" not in plain(chart.frame(named, scene, Size(cells, 12))[:1])


def test_percentiles_of_more_than_is_held_are_marked_as_estimates() -> None:
    world = World()
    name = world.run("fast", phase="serve")
    values = np.random.default_rng(0).lognormal(-3, 0.4, 100_000)
    world.log(name, "ttft_seconds", values, kind="distribution", unit="seconds",
              times=T0 + np.arange(100_000) * 1e-3)
    said = chart.frame(TTFT, world.scene(screen="serve"), Size(90, 12))[0]
    shown = re.search(r"p50 ~([0-9.]+) ms", plain([said]))
    assert shown is not None
    assert float(shown[1]) == pytest.approx(np.median(values) * 1e3, rel=0.01)


def test_percentiles_from_buckets_are_marked_as_estimates() -> None:
    world = World()
    scraped(world, [5, 3, 1, 1, 0, 0])
    head = plain(chart.frame(TTFT, world.scene(screen="serve"), Size(90, 12))[:1])
    assert "p90 ≈500 ms" in head
    assert "p99 ≈" in head


def test_a_percentile_in_a_wide_bucket_is_told_by_its_bounds() -> None:
    world = World()
    scraped(world, [6, 0, 0, 0, 4, 0])
    scene = world.scene(screen="serve")
    head = plain(chart.frame(TTFT, scene, Size(90, 12))[:1])
    assert "p50 <100 ms  p90 1..30 s  p99 1..30 s  mean 1.00 s" in head
    assert "<30.0 s" in plain(runs.frame(world.scene(), Size(160, 8)))
    (box,) = json.loads(render_json(world.store, ()))["runs"]
    told = box["series"][0]
    assert told["method"] == "histogram"
    assert told["bounds"] == {"p50": [0.0, 0.1], "p90": [1.0, 30.0], "p99": [1.0, 30.0]}
    said = render_text(world.store, scene.now, 120)
    assert re.search(r"ttft_seconds +<100 ms +1\.00 s\.\.30\.0 s +1\.00 s\.\.30\.0 s", said), said


def test_a_percentile_beyond_the_last_bound_is_at_least_that() -> None:
    world = World()
    scraped(world, [0, 0, 0, 0, 1, 9])
    head = plain(chart.frame(TTFT, world.scene(screen="serve"), Size(90, 12))[:1])
    assert "p50 ≥30.0 s" in head
    assert "p99 ≥30.0 s" in head


def test_few_observations_behind_buckets_make_no_p99() -> None:
    world = World()
    scraped(world, [1, 0, 0, 0, 0, 0], looks=50)
    head = plain(chart.frame(TTFT, world.scene(screen="serve"), Size(90, 12))[:1])
    assert "p99 --" in head


def test_a_promise_is_drawn_and_p99_turns_critical_above_it() -> None:
    world = World()
    serving(world)
    scene = world.scene(screen="serve", slos=(("ttft_seconds", 0.3),))
    rows = chart.frame(TTFT, scene, Size(90, 12))
    assert "slo 300ms" in plain(rows)
    assert any(role == "critical" and any("⠀" < c <= "⣿" for c in part)
               for row in rows for part, role in row)
    calm = chart.frame(TTFT, world.scene(screen="serve"), Size(90, 12))
    assert not any(role == "critical" for row in calm for _, role in row)


def test_the_server_strip_tells_phases_and_goodput() -> None:
    world = World()
    serving(world)
    run = world.run("other", phase="serve")
    del run
    scene = world.scene(screen="serve", slos=(("ttft_seconds", 0.3),),
                        run=next(r.id for r in world.store.runs if r.name == "llama-8b"))
    said = text(scene, Placed(server.CONTENT, placed(scene, (160, 42))["server"].box))
    assert "prefill ≈" in said
    assert "decode ≈" in said
    series = scene.run.find("ttft_seconds")[0]  # type: ignore[union-attr]
    raw = series.window(1 << 20)
    kept = raw.value[raw.time >= scene.now - 300]
    assert f"goodput {(kept <= 0.3).mean() * 100:.1f}%" in said
    without = world.scene(screen="serve", run=scene.view.run)
    assert "--slo ttft=200ms,itl=50ms" in text(without, Placed(
        server.CONTENT, placed(without, (160, 42))["server"].box))


def test_the_strip_tells_what_the_page_tells() -> None:
    world = World()
    scraped(world, [5, 5, 0, 0, 0, 0], engine="vLLM", version="0.33.0", model="org/m",
            tls="not verified", config={"block_size": "16"})
    scene = world.scene(screen="serve")
    said = plain(server.frame(scene, Size(150, 5)))
    for part in ("vLLM 0.33.0", "org/m", "● certificate not verified", "block_size 16"):
        assert part in said


@pytest.mark.parametrize("size", [Size(100, 12), Size(40, 8), Size(30, 5), Size(10, 3)])
def test_the_heat_map_holds_every_observation(size: Size) -> None:
    world = World()
    serving(world)
    scene = world.scene(screen="serve")
    rows = heatmap.frame(scene, size)
    assert all(width(row) <= size.width for row in rows)
    assert "observed" in plain(rows) or size.width < 40
    if size.height > 5:
        assert "3,000" in plain(rows[:1])


def test_the_heat_map_is_darkest_where_most_is() -> None:
    world = World()
    run = world.run("s", phase="serve")
    values = np.where(np.arange(2000) % 20 == 0, 4.0, 0.1)
    world.log(run, "ttft_seconds", values, times=T0 + np.arange(2000) * 0.1, kind="distribution")
    rows = heatmap.frame(world.scene(screen="serve"), Size(90, 12))
    body = plain(rows).splitlines()[1:-2]
    dark = [index for index, line in enumerate(body) if "█" in line]
    light = [index for index, line in enumerate(body) if any(c in line for c in "░▒") and
             "█" not in line]
    assert len(dark) == 1
    assert light
    assert max(light) < dark[0], "low latencies lie low"


def test_the_heat_map_shows_the_latency_in_focus_and_the_promise() -> None:
    world = World()
    serving(world)
    scene = world.scene(screen="serve", focus="itl", slos=(("itl_seconds", 0.05),))
    shown = plain(heatmap.frame(scene, Size(100, 12)))
    assert "inter-token latency over time" in shown
    assert "slo 50ms" in shown


def test_the_heat_map_without_unicode_is_plain() -> None:
    world = World()
    serving(world)
    view = world.scene(screen="serve")
    scene = Scene(view.store, view.view, view.now, view.run, ascii=True)
    body = plain(heatmap.frame(scene, Size(90, 12))).splitlines()[1:-2]
    assert all(char.isascii() for line in body for char in line.strip("│ "))


def test_a_scraped_counter_is_a_rate_over_the_time_between_looks() -> None:
    world = World()
    world._apply(runs=(RunInfo("box", "box", phase="serve", source="scrape", started=T0),))
    times = T0 + np.concatenate([np.arange(0, 60), np.arange(90, 150)])
    world.log("box", "generated_tokens", np.full(120, 50.0), times=times, kind="counter")
    spec = ChartSpec("tokens", "tokens", "tokens", "counter", ("generated_tokens",))
    from llmtop.chart import column_grid
    from llmtop.ui.curves import curves

    scene = world.scene(screen="serve")
    assert scene.shown is not None
    (curve,) = curves(spec, scene.shown, "time", column_grid(T0, T0 + 150, 400), 0.0)
    seen = curve.line[np.isfinite(curve.line)]
    assert seen.max() < 60, "no spike, though columns are narrower than looks"
    grid = column_grid(T0, T0 + 150, 400)
    assert np.isnan(curve.line[grid.column(T0 + 75)]), "a silence is a gap"


def test_the_list_marks_estimates_and_adds_up_several_servers() -> None:
    world = World()
    scraped(world, [0, 0, 0, 0, 1, 9])
    serving(world, "one")
    serving(world, "two", seed=9)
    scene = world.scene()
    listed = plain(runs.frame(scene, Size(160, 8)))
    assert "≥30.0 s" in listed
    total = sum(run.find("generated_tokens")[0].rate(10, scene.now)
                for run in world.store.runs if run.name != "box")
    assert f"{format_number(total, 3)} tok/s" in listed.splitlines()[0]
    assert "servers" in listed.splitlines()[0]
