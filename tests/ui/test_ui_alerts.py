"""Alerts on the screen: told at once, listed worst first, marked on the charts, acknowledged."""

from __future__ import annotations

import numpy as np
from scenes import SECONDS_A_STEP, T0, World, training

from llmtop.rules.alert import Alert
from llmtop.ui.panels import alerts, chart, header, runs
from llmtop.ui.panels.base import Scene, Size
from llmtop.ui.rows import plain, width
from llmtop.ui.specs import specs
from llmtop.ui.view import View


def alert(rule: str, severity: str = "warning", **more: object) -> Alert:
    facts: dict[str, object] = {
        "key": rule, "rule": rule, "severity": severity, "state": "firing", "run": 0,
        "run_name": "gpt-small", "since": T0 + 600.0, "message": f"{rule} on gpt-small",
        "hint": "look at the learning rate, the gradient norm and the last batch", **more,
    }  # fmt: skip
    return Alert(**facts)  # type: ignore[arg-type]


def scene_of(world: World, *active: Alert, past: tuple[Alert, ...] = ()) -> Scene:
    seen = world.scene()
    return Scene(seen.store, View(), seen.now, seen.run, active, (), past)


def test_the_list_says_what_since_when_and_what_to_try() -> None:
    world = World()
    training(world)
    scene = scene_of(
        world, alert("loss_nonfinite", "critical", what_changed=(("lr", 42.0),)),
        alert("throughput_drop"),
        past=(alert("loss_spike", state="resolved", resolved_at=T0 + 700.0),),
    )
    shown = plain(alerts.frame(scene, Size(100, 20)))
    order = [shown.index(word) for word in (
        "firing  2", "▲", "loss_nonfinite on", "moved then", "lr +42σ", "try", "learning rate",
        "●", "throughput_drop", "resolved  1", "✓", "for 1m")]
    assert order == sorted(order)
    for cells in range(12, 140):
        assert all(width(row) <= cells for row in alerts.frame(scene, Size(cells, 20)))


def test_nothing_wrong_says_so() -> None:
    assert "nothing is wrong" in plain(alerts.frame(scene_of(World()), Size(80, 10)))


def test_header_list_and_charts_point_at_it() -> None:
    world = World()
    training(world)
    training(world, "calm", seed=9, steps=100)
    bad = alert("loss_spike", "critical", step=1500, since=T0 + 1500 * SECONDS_A_STEP)
    scene = scene_of(world, bad)
    assert "▲ 1 critical" in plain(header.frame(scene, Size(140, 2)))
    line = next(line for line in plain(runs.frame(scene, Size(140, 6))).splitlines()
                if "gpt-small" in line)
    assert "▲ loss_spike" in line
    spec = specs(scene.shown)[2]  # type: ignore[arg-type]
    before = plain(chart.frame(spec, scene_of(world), Size(80, 10))).count("▲")
    assert plain(chart.frame(spec, scene, Size(80, 10))).count("▲") == before + 1
    seen = scene_of(world, alert("loss_spike", "critical", acknowledged=True))
    assert "critical" not in plain(header.frame(seen, Size(140, 2)))


async def test_a_nan_is_told_at_once_and_can_be_acknowledged() -> None:
    world = World()
    run = training(world)
    app = world.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        now, world.commits = world.clock.now, False
        world.log(run, "train/loss", np.array([2.0, np.nan]), steps=np.array([2000, 2001]),
                  times=np.array([now, now + 0.1]))
        app.tick()
        await pilot.pause()
        assert any("NaN" in toast.title for toast in app._notifications)
        assert "▲ 1 critical" in plain(app._panel("header")._rows)
        await pilot.press("5")
        await pilot.pause()
        assert "NaN" in plain(app._board.panels["alerts"]._rows)
        await pilot.press("a")
        await pilot.pause()
        assert "critical" not in plain(app._panel("header")._rows)
        assert app.engine is not None
        assert all(one.acknowledged for one in app.engine.alerts.active)
