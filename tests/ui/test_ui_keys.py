"""Every key of the table, pressed on the real app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from scenes import STEPS, World, serving, training
from textual.pilot import Pilot

from llmtop.ui.app import LlmtopApp
from llmtop.ui.keys import KEYS, SCREENS
from llmtop.ui.view import SMOOTHING

Press = Callable[..., Awaitable[None]]


@asynccontextmanager
async def running(
    world: World | None = None, size: tuple[int, int] = (160, 45)
) -> AsyncIterator[tuple[LlmtopApp, Press, Pilot[None]]]:
    if world is None:
        world = World()
        training(world)
    app = world.app()
    async with app.run_test(size=size) as pilot:
        async def settle() -> None:
            """Wait until each panel that was put on the screen has drawn itself."""
            await pilot.pause()
            for _ in range(50):
                if all(panel._rows for panel in app._board.panels.values()):
                    return
                await pilot.pause(0.02)

        async def press(*keys: str) -> None:
            await pilot.press(*keys)
            await settle()

        await settle()
        yield app, press, pilot


def test_each_key_has_an_action_that_exists() -> None:
    from llmtop.ui.actions import TABLE

    for key in KEYS:
        assert key.action in TABLE or hasattr(LlmtopApp, f"action_{key.action}"), key.action
    assert len({k for key in KEYS for k in key.keys.split(",")}) == sum(
        len(key.keys.split(",")) for key in KEYS)


async def test_zoom_pan_and_follow() -> None:
    async with running() as (app, press, _):
        await press("plus", "plus")
        assert app.view.span == pytest.approx((STEPS - 1) / 2.25)
        await press("left")
        assert app.view.window is not None
        start, stop = app.view.window
        assert stop < STEPS - 1
        assert stop - start == pytest.approx((STEPS - 1) / 2.25)
        await press("right", "right", "right")
        assert app.view.follows
        await press("minus", "minus", "minus")
        assert app.view.span is None
        await press("plus", "left", "f")
        assert app.view.window is None
        assert app.view.span is None


async def test_cursor_moves_on_all_panels_and_zoom_goes_around_it() -> None:
    async with running() as (app, press, _):
        await press("c")
        assert app.view.cursor == STEPS - 1
        await press(*["left"] * 5)
        at = app.view.cursor
        assert at is not None
        assert at < STEPS - 1
        rows = {panel.key: panel for panel in app._board.panels.values()}
        shown = f"step {at:,.0f}"
        for name in ("loss", "accuracy", "throughput"):
            lines = ["".join(text for text, _ in row) for row in rows[name]._rows]
            assert any(shown in line for line in lines), name
        await press("plus")
        assert app.view.window is not None
        assert app.view.window[0] < at < app.view.window[1] + 1e-6
        await press("escape")
        assert app.view.cursor is None


async def test_axes_smoothing_and_log() -> None:
    async with running() as (app, press, _):
        axes = []
        for _ in range(3):
            await press("x")
            axes.append(app.view.axis)
        assert axes == ["time", "elapsed", "step"]
        for factor in (*SMOOTHING[1:], SMOOTHING[0]):
            await press("s")
            assert app.view.smoothing == factor
        await press("l")
        assert app.view.log == {"loss"}
        await press("tab", "tab", "l")
        assert app.view.log == {"loss", "accuracy"}
        await press("l")
        assert app.view.log == {"loss"}


async def test_open_back_and_screens() -> None:
    async with running() as (app, press, _):
        await press("tab")
        assert app.view.focus == "loss"
        await press("enter")
        assert app.view.maximised
        assert list(app._board.panels) == ["loss"]
        await press("escape")
        assert not app.view.maximised
        assert len(app._board.panels) > 3
        for key, name, _ in SCREENS:
            await press(key)
            assert app.view.screen == name
        await press("escape", "escape")
        assert app.view.screen == "overview"


async def test_tab_reaches_panels_below_the_edge_of_the_train_screen() -> None:
    world = World()
    run = training(world)
    for number in range(30):
        import numpy as np

        world.log(run, f"layer{number}/norm", np.arange(50.0))
    async with running(world, (100, 30)) as (app, press, _):
        await press("2", "shift+tab")
        board = app._board
        last = board.order[-1]
        assert app.view.focus == last
        box = board.boxes[last]
        assert 0 <= box.y < board.size.height


async def test_the_list_moves_and_opens() -> None:
    world = World()
    first, second = training(world, "one"), training(world, "two", seed=5, steps=300)
    serving(world)
    async with running(world) as (app, press, _):
        names = [run.name for run in world.store.runs]
        assert names[:2] == [first, second]
        scene = app.scene()
        assert scene is not None
        assert scene.run is not None
        before = scene.run.name
        await press("plus", "down")
        scene = app.scene()
        assert scene is not None
        assert scene.run is not None
        assert scene.run.name != before
        assert app.view.span is None
        await press("up")
        await press("shift+tab")
        await press("tab")
        while app.view.focus != "runs":
            await press("tab")
        await press("enter")
        assert app.view.screen == "train"


async def test_filter_narrows_runs_and_panels_while_typed() -> None:
    world = World()
    training(world, "alpha")
    training(world, "beta", seed=3, steps=200)
    async with running(world) as (app, press, _):
        await press("slash", *"bet")
        assert app.view.filter == "bet"
        assert "runs" not in app._board.panels
        await press("enter")
        assert app.view.filter == "bet"
        scene = app.scene()
        assert scene is not None
        assert scene.run is not None
        assert scene.run.name == "beta"
        await press("escape")
        assert app.view.filter == ""
        await press("slash", *"grad")
        assert [key for key in app._board.panels if key not in ("runs", "events")] == ["grad_norm"]
        await press("escape")
        assert app.view.filter == ""
        await press("slash", *"zzz")
        text = "\n".join(
            "".join(text for text, _ in row)
            for panel in app._board.panels.values() for row in panel._rows)
        assert "'zzz'" in text


async def test_pause_freezes_the_picture_but_takes_data_in() -> None:
    import numpy as np

    world = World()
    run = training(world)
    async with running(world) as (app, press, pilot):
        await press("space")
        assert app.view.paused_at is not None
        panel = app._board.panels["loss"]
        before = list(panel._rows)
        world.log(run, "train/loss", np.full(500, 9.0), steps=np.arange(2000, 2500),
                  times=1_750_001_000 + np.arange(500.0))
        app.tick()
        await pilot.pause()
        assert panel._rows == before
        await press("space")
        app.tick()
        await pilot.pause()
        assert app._board.panels["loss"]._rows != before


async def test_themes_help_palette_repaint() -> None:
    async with running() as (app, press, pilot):
        seen = {app.theme}
        for _ in range(len(app._themes) - 1):
            await press("t")
            seen.add(app.theme)
        assert seen == set(app._themes)
        await press("question_mark")
        assert len(app.screen_stack) == 2
        await press("escape")
        assert len(app.screen_stack) == 1
        await press("ctrl+p")
        assert len(app.screen_stack) == 2
        await press("escape")
        await press("ctrl+l")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_quit() -> None:
    async with running() as (app, press, _):
        await press("q")
        assert app.return_code == 0


@pytest.mark.parametrize("size", [(20, 5), (1, 1), (60, 15), (300, 90), (40, 100)])
async def test_every_key_at_every_size(size: tuple[int, int]) -> None:
    world = World()
    training(world, steps=300)
    serving(world, n=200)
    async with running(world, size) as (app, press, pilot):
        for key in KEYS:
            if key.action in ("quit", "command_palette", "help", "filter"):
                continue
            for name in key.keys.split(","):
                await press(name)
        for name in ("down", "2", "tab", "enter", "1"):
            await press(name)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.is_running


async def test_three_thousand_metrics_leave_the_screen_alive() -> None:
    import numpy as np

    world = World()
    run = training(world, steps=50)
    for number in range(3000):
        world.log(run, f"metric_{number}", np.arange(3.0))
    async with running(world, (160, 45)) as (app, press, _):
        await press("2")
        board = app._board
        assert len(board.panels) <= 30
        assert len(board.order) > 3000
        await press("shift+tab")
        assert app.view.focus == board.order[-1]
        assert board.order[-1] in board.panels
        await press("slash", *"metric_2999")
        assert list(board.order) == ["name:metric_2999"]


async def test_under_the_cursor_the_title_keeps_the_value_there_while_data_come() -> None:
    import numpy as np

    world = World()
    run = world.run("line", total_steps=1000)
    world.log(run, "loss", np.arange(400.0))
    async with running(world) as (app, press, pilot):
        await press("c", *["left"] * 20)
        world.log(run, "loss", np.arange(400.0, 500.0), steps=np.arange(400, 500),
                  times=1_750_000_300 + np.arange(100.0))
        app.tick()
        await pilot.pause()
        shown = next(text for text, role in app._board.panels["loss"]._rows[0] if role == "bright")
        assert app.view.cursor is not None
        assert float(shown) == pytest.approx(app.view.cursor, abs=20)
