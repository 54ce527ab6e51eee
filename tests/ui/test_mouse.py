"""The mouse does what the keys do."""

from __future__ import annotations

import pytest
from scenes import STEPS, World, serving, training
from textual.events import MouseScrollDown, MouseScrollUp


async def test_hover_shows_the_value_and_leaves_no_trace() -> None:
    world = World()
    training(world)
    app = world.app()
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        loss = app._board.panels["loss"]
        await pilot.hover(loss, offset=(40, 3))
        assert app.view.hover is not None
        assert 0 < app.view.hover < STEPS
        await pilot.hover("#header", offset=(5, 0))
        assert app.view.hover is None


async def test_click_focuses_a_chart_and_picks_a_run() -> None:
    world = World()
    for number, name in enumerate(("one", "two")):
        training(world, name, seed=number, steps=400)
    serving(world, n=300)
    app = world.app()
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        await pilot.click(app._board.panels["loss"], offset=(20, 2))
        assert app.view.focus == "loss"
        names = []
        for row in (2, 3, 4):
            await pilot.click(app._board.panels["runs"], offset=(10, row))
            await pilot.pause()
            scene = app.scene()
            assert scene is not None
            assert scene.run is not None
            names.append(scene.run.name)
        assert sorted(names) == ["llama-8b", "one", "two"]
        await pilot.click(app._board.panels["runs"], offset=(10, 1))
        assert scene.run.name == names[-1]


async def test_wheel_zooms_around_the_mouse_and_drag_pans() -> None:
    world = World()
    training(world)
    app = world.app()
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause()
        loss = app._board.panels["loss"]
        region = loss.region

        def wheel(kind: type) -> None:
            x, y = region.x + 40, region.y + 3
            loss.post_message(kind(loss, 40, 3, 0, 0, 0, False, False, False, x, y))

        under = loss.content.x_at(app.scene(), loss.cells, 40)  # type: ignore[misc, arg-type]
        wheel(MouseScrollUp)
        await pilot.pause()
        assert app.view.window is not None
        after = loss.content.x_at(app.scene(), loss.cells, 40)  # type: ignore[misc, arg-type]
        assert after == pytest.approx(under, abs=40)
        start = app.view.window[0]
        await pilot.mouse_down(loss, offset=(40, 3))
        await pilot.hover(loss, offset=(60, 3))
        await pilot.mouse_up(loss, offset=(60, 3))
        assert app.view.window is not None
        assert app.view.window[0] < start
        wheel(MouseScrollDown)
        wheel(MouseScrollDown)
        await pilot.pause()
        assert app.view.window is None
