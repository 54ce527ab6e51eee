"""Panels as text: what a person reads, without a terminal."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from scenes import T0, World, serving, training

from llmtop.ui.panels import (
    chart,
    events,
    footer,
    header,
    log,
    ranks,
    runs,
    unserved,
    values,
    waiting,
    welcome,
)
from llmtop.ui.panels.base import Scene, Size
from llmtop.ui.rows import Row, plain, width
from llmtop.ui.specs import ChartSpec, specs

GOLDEN = Path(__file__).parent / "golden"


def text(rows: list[Row]) -> str:
    return "\n" + plain(rows)


def check(name: str, rows: list[Row]) -> None:
    """Compare rows with golden/<name>.txt; LLMTOP_WRITE_GOLDEN=1 renews it."""
    path = GOLDEN / f"{name}.txt"
    got = plain(rows) + "\n"
    if os.environ.get("LLMTOP_WRITE_GOLDEN"):
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")


def spec_of(scene: Scene, key: str) -> ChartSpec:
    assert scene.shown is not None
    return next(spec for spec in specs(scene.shown) if spec.key == key)


def test_header_tells_progress_and_makes_room() -> None:
    world = World()
    training(world)
    scene = world.scene()
    check("header-wide", header.frame(scene, Size(130, 2)))
    check("header-narrow", header.frame(scene, Size(60, 2)))
    for cells in range(3, 200):
        assert all(width(row) <= cells for row in header.frame(scene, Size(cells, 2)))


def test_header_of_a_run_that_does_not_say_how_long_it_will_be() -> None:
    world = World()
    world.log(world.run("endless"), "loss", np.ones(1500))
    assert "1,499" in text(header.frame(world.scene(), Size(80, 2)))


def test_header_says_how_a_run_ended_and_what_is_frozen_or_filtered() -> None:
    world = World()
    world.end(training(world), "failed", "ValueError: boom")
    line = text(header.frame(world.scene(paused_at=T0, filter="gpt"), Size(120, 2)))
    assert "▲ failed" in line
    assert "❚❚ paused" in line
    assert "/gpt" in line
    assert "eta" not in line


def test_the_list_of_runs() -> None:
    world = World()
    training(world, "gpt-small")
    training(world, "sweep-03", seed=4, steps=1500)
    serving(world)
    world.end("sweep-03")
    check("runs", runs.frame(world.scene(), Size(120, 6)))
    check("runs-narrow", runs.frame(world.scene(), Size(80, 5)))
    for cells in range(1, 200):
        assert all(width(row) <= cells for row in runs.frame(world.scene(), Size(cells, 6)))


def test_the_list_scrolls_to_the_selected_run_and_says_what_is_hidden() -> None:
    world = World()
    for number in range(30):
        training(world, f"run-{number:02}", seed=number, steps=20)
    chosen = next(run.id for run in world.store.runs if run.name == "run-20")
    got = text(runs.frame(world.scene(run=chosen), Size(80, 8)))
    assert "run-20" in got
    assert "(25 more ↑↓)" in got
    assert "run-01" not in got


def test_loss_panel() -> None:
    world = World()
    training(world)
    scene = world.scene()
    got = chart.frame(spec_of(scene, "loss"), scene, Size(70, 12))
    check("loss", got)
    assert all(width(row) == 70 for row in got)
    check("loss-narrow", chart.frame(spec_of(scene, "loss"), scene, Size(40, 6)))


def test_a_spike_after_the_beginning_is_seen() -> None:
    world = World()
    run = world.run("calm", total_steps=1000)
    values = np.full(1000, 1.0) + np.random.default_rng(0).normal(0, 0.01, 1000)
    values[700] = 30.0
    world.log(run, "grad_norm", values)
    scene = world.scene()
    lines = plain(chart.frame(spec_of(scene, "grad_norm"), scene, Size(80, 12))).splitlines()
    column = [line[40:46] for line in lines[1:6]]
    assert all(any(0x2800 < ord(c) <= 0x28FF for c in part) for part in column), column


def test_nan_is_marked_and_told() -> None:
    world = World()
    run = world.run("sick")
    values = np.linspace(3, 2, 100)
    values[90:] = np.nan
    world.log(run, "loss", values)
    scene = world.scene()
    rows = chart.frame(spec_of(scene, "loss"), scene, Size(60, 10))
    assert "NaN" in plain(rows[:1])
    assert any(role == "critical" for row in rows[1:3] for _, role in row)


def test_a_run_that_is_only_nan_still_shows_marks() -> None:
    world = World()
    run = world.run("worse")
    world.log(run, "loss", np.full(20, np.nan))
    scene = world.scene()
    rows = chart.frame(spec_of(scene, "loss"), scene, Size(60, 10))
    assert "NaN" in plain(rows)
    assert any(role == "critical" for row in rows for _, role in row)


def test_percentiles_are_those_of_the_last_minutes() -> None:
    world = World()
    serving(world)
    scene = world.scene()
    head = plain(chart.frame(spec_of(scene, "ttft"), scene, Size(90, 12))[:1])
    series = scene.run.find("ttft_seconds")[0]  # type: ignore[union-attr]
    recent = series.window(1 << 20)
    kept = recent.value[recent.time >= recent.time[-1] - 300]
    for q in (50, 90, 99):
        assert f"p{q} {np.percentile(kept, q) * 1e3:.0f} ms" in head


def test_few_observations_make_no_percentile() -> None:
    world = World()
    run = world.run("shy", phase="serve")
    world.log(run, "ttft_seconds", np.array([0.1, 0.2, 0.3]), kind="distribution",
              times=T0 + np.arange(3.0))
    scene = world.scene()
    head = plain(chart.frame(spec_of(scene, "ttft"), scene, Size(90, 12))[:1])
    assert "p99 NaN" not in head
    assert "p99 --" in head


def test_title_and_picture_agree_on_the_quick_row() -> None:
    world = World()
    training(world)
    scene = world.scene()
    for spec in specs(scene.shown):  # type: ignore[arg-type]
        content = chart.content(spec)
        if content.head is not None:
            size = Size(80, 10)
            assert content.head(scene, size) == content.frame(scene, size)[0]


def test_many_checkpoints_leave_the_newest_mark_only() -> None:
    world = World()
    run = training(world)
    for step in range(0, 2000, 50):
        world.event(run, step, f"checkpoint {step} saved")
    scene = world.scene()
    rows = chart.frame(spec_of(scene, "grad_norm"), scene, Size(60, 10))
    assert plain(rows).count("◆") == 1
    assert plain(rows).count("▲") == 1


def test_events_newest_first() -> None:
    world = World()
    training(world)
    check("events", events.frame(world.scene(), Size(60, 5)))


def test_rank_strip_shows_missing_silent_and_slow_ranks() -> None:
    world = World()
    for rank in (0, 1, 3):
        key = f"r{rank}"
        world._apply(runs=(_rank(key, rank),))
        world.log(key, "loss", np.arange(10.0 + rank))
    world.end("r3", "died")
    check("ranks", ranks.frame(world.scene(), Size(80, 3)))


def _rank(key: str, rank: int) -> object:
    from llmtop.samples import RunInfo

    return RunInfo(key=key, name="wide", rank=rank, world_size=4, started=T0)


def test_nothing_yet_tells_how_to_begin() -> None:
    shown = text(welcome.frame(World().scene(), Size(80, 20)))
    for hint in ("llmtop demo", "import llmtop", "run.log(", "box  8 cores  64 GiB"):
        assert hint in shown


def test_what_cannot_be_read_is_said_in_full_where_there_is_nothing_else() -> None:
    reason = "localhost:8000: answers 404 Not Found; " + "and this is what helps " * 5
    scene, size = World().scene(), Size(80, 22)
    troubled = replace(scene, trouble=reason.strip())
    for panel in (welcome, unserved):
        shown = text(panel.frame(troubled, size))
        assert reason.strip() in " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())
        assert panel.signature(troubled, size) != panel.signature(scene, size)


def test_a_run_without_metrics_says_so() -> None:
    world = World()
    world.run("silent")
    assert "silent has logged no metric yet" in text(waiting.frame(world.scene(), Size(60, 10)))


def test_footer_leaves_out_what_helps_where_it_would_hide_the_keys() -> None:
    reason = "localhost:8000: answers 404 Not Found; " + "this is what helps " * 4
    row = plain([footer.footer_row(footer.Cost(2.4), 0, footer.News(reason), 80)])
    assert "? help" in row
    assert "▲ localhost:8000: answers 404 Not Found  " in row
    wide = plain([footer.footer_row(footer.Cost(2.4), 0, footer.News(reason), 400)])
    assert "what helps" in wide


def test_footer_keeps_losses_and_problems_before_keys() -> None:
    row = footer.footer_row(footer.Cost(2.4, 64 << 20, 1600.0), 17,
                            footer.News("tail: denied"), 100)
    line = plain([row])
    assert "▲ tail: denied" in line
    assert "● 17 dropped" in line
    reading = footer.footer_row(None, 0, footer.News(status="reading big.jsonl 43 %"), 100)
    assert "reading big.jsonl 43 %" in plain([reading])
    for cells in range(1, 220):
        shown = footer.footer_row(footer.Cost(1, 1, 1), 0, footer.News(), cells)
        assert width(shown) <= max(cells, 30)


def test_the_log_shows_the_newest_lines_and_heeds_the_filter() -> None:
    world = World()
    run = training(world)
    for number in range(20):
        world.event(run, number, f"line {number} of {'odd' if number % 2 else 'even'}", "log")
    assert world.store.runs[0].events
    shown = text(log.frame(world.scene(), Size(60, 6)))
    assert "line 19 of odd" in shown
    assert "line 15" not in shown
    assert "20 lines" in shown
    shown = text(log.frame(world.scene(filter="even"), Size(60, 6)))
    assert "line 18 of even" in shown
    assert "odd" not in shown
    assert "llmtop -- COMMAND" in text(log.frame(World().scene(), Size(60, 6)))


def test_results_are_a_table_with_their_uncertainty() -> None:
    world = World()
    run = world.run("scores", phase="eval")
    for name, value in (("arc/acc", 0.2261), ("arc/acc_stderr", 0.0122), ("piqa/acc", 0.6703)):
        world.log(run, name, np.array([value]), steps=np.array([-1]))
    scene = world.scene()
    assert scene.shown is not None
    assert values.is_table(scene.shown)
    check("values", values.frame(scene, Size(60, 6)))
    for cells in range(1, 160):
        assert all(width(row) <= max(cells, 3) for row in values.frame(scene, Size(cells, 6)))


def test_a_label_that_has_no_room_is_left_out_and_not_cut() -> None:
    world = World()
    run = world.run("flat")
    world.log(run, "lr", np.full(200, 1e-4))
    scene = world.scene()
    shown = plain(chart.frame(spec_of(scene, "learning_rate"), scene, Size(60, 12)))
    assert "1e-4" in shown
    assert "…" not in shown


def test_bytes_have_round_edges_in_their_binary_unit() -> None:
    world = World()
    run = world.run("memory")
    world.log(run, "memory_used_bytes", np.linspace(0, 71.2 * 2**30, 300))
    scene = world.scene()
    shown = plain(chart.frame(spec_of(scene, "memory"), scene, Size(60, 14)))
    assert any(label in shown for label in ("60 GiB", "60GiB", "50 GiB", "50GiB", "60G", "50G"))


def test_names_in_other_scripts_have_charts_of_their_own() -> None:
    world = World()
    run = world.run("cjk")
    for name in ("损失", "准确率", "🚀🚀"):
        world.log(run, name, np.arange(5.0))
    titles = {spec.title for spec in specs(world.scene().shown)}  # type: ignore[arg-type]
    assert titles == {"损失", "准确率", "🚀🚀"}


def test_a_constant_stands_still_whatever_its_rounding() -> None:
    world = World()
    run = world.run("steady")
    world.log(run, "lr", np.full(500, 0.1) + np.random.default_rng(3).normal(0, 1e-17, 500))
    scene = world.scene()
    rows = chart.frame(spec_of(scene, "learning_rate"), scene, Size(70, 11))
    lines = [line for line in plain(rows).splitlines()
             if any(0x2800 < ord(c) <= 0x28FF for c in line)]
    assert len(lines) == 1
    assert "0.1" in plain(rows)


def test_where_names_have_no_room_numbers_stand_with_their_colours() -> None:
    world = World()
    training(world)
    scene = world.scene()
    wide, narrow = (plain([chart.head(spec_of(scene, "loss"), scene, Size(cells, 10))])
                    for cells in (60, 34))
    assert "train" in wide
    assert "train" not in narrow
    assert narrow.count("●") == 2
    assert "…" not in narrow
