"""S asks a run to stop only after y; delivery's text goes out through the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scenes import World, training

from llmtop.clock import SystemClock
from llmtop.delivery.delivery import Delivery
from llmtop.delivery.settings import SinkSettings
from llmtop.engine import Engine
from llmtop.rules.alert import Alert
from llmtop.ui.app import LlmtopApp
from llmtop.ui.confirm import Confirm
from llmtop.ui.panels.footer import News
from llmtop.ui.telling import news, tell


class Talker:
    """A source that yields nothing and remembers what is sent."""

    name = "talker"

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def batches(self, stop: object) -> Any:
        return iter(())

    def send(self, session: str, message: Mapping[str, Any]) -> bool:
        self.sent.append((session, message))
        return True


def willing(world: World, name: str, stoppable: bool) -> None:
    key = world.run(name, stoppable=stoppable, host="node-07", pid=1)
    at = np.arange(50)
    world.log(key, "loss", 2.0 - at / 100, steps=at, times=world.clock.now - 50.0 + at)


def app_of(world: World, talker: Talker, **more: Any) -> LlmtopApp:
    return LlmtopApp(lambda: Engine(world.store, [talker], world.clock), **more)


def toasts(app: LlmtopApp) -> list[str]:
    return [f"{toast.title}: {toast.message}" for toast in app._notifications]


async def test_a_run_is_asked_only_after_yes() -> None:
    world, talker = World(), Talker()
    willing(world, "gpt-small", True)
    app = app_of(world, talker)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        for key in ("n", "escape", "q"):
            await pilot.press("S")
            await pilot.pause()
            assert isinstance(app.screen, Confirm)
            await pilot.press("enter", "s", "S", key)
            await pilot.pause()
            assert not isinstance(app.screen, Confirm)
        assert talker.sent == []
        await pilot.press("S", "y")
        await pilot.pause()
        assert not isinstance(app.screen, Confirm)
    (key, message), = talker.sent
    assert (key, message["action"]) == ("gpt-small", "stop")
    assert "person" in message["reason"]
    assert any("gpt-small is asked to stop" in toast for toast in toasts(app))


async def test_one_that_did_not_allow_it_is_not_asked() -> None:
    world, talker = World(), Talker()
    willing(world, "gpt-small", False)
    app = app_of(world, talker)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("S")
        await pilot.pause()
        assert not isinstance(app.screen, Confirm)
        assert any("stoppable=True" in toast for toast in toasts(app))
    assert talker.sent == []


async def test_without_a_run_nothing_is_asked() -> None:
    app = app_of(World(), Talker())
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("S")
        await pilot.pause()
        assert any("no run is selected" in toast for toast in toasts(app))


async def test_delivery_writes_through_the_driver_and_says_what_fails() -> None:
    world = World()
    training(world)
    sinks = [SinkSettings("bell", "bell"), SinkSettings("log", "file", path="/no/such/folder/x")]
    app = world.app()
    app._deliver = lambda: Delivery(sinks, SystemClock(), {})
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        app.tick()
        assert any("log: /no/such/folder: no such folder" in toast for toast in toasts(app))
        assert app._driver is not None
        written: list[str] = []
        app._driver.write = written.append  # type: ignore[method-assign]
        now = world.clock.now
        facts = {"run": 0, "run_name": "r", "since": now - 9.0, "severity": "critical"}
        fresh = Alert("k", "rule", state="firing", fired_at=now - 1, **facts)  # type: ignore[arg-type]
        old = Alert("o", "rule", state="firing", fired_at=now - 900, **facts)  # type: ignore[arg-type]
        tell(app, [old], now)
        assert written == []
        tell(app, [fresh], now)
        assert written == ["\a"]
        assert app.delivery is not None
        app.delivery.close(10.0)
        assert news(app) == News("", "1 alert not delivered")
