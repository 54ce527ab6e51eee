"""When the screen looks at what came."""

from __future__ import annotations

import asyncio
import threading

from textual.app import App

from llmtop.ui.pace import Pace

FPS = 20.0


class Looking(App[None]):
    def on_mount(self) -> None:
        self.looks = self.left = 0
        self.seen = asyncio.Event()
        self.pace = Pace(self, self.look, FPS)

    def look(self) -> bool:
        self.looks += 1
        self.seen.set()
        self.left -= 1
        return self.left > 0

    async def next_look(self) -> None:
        await asyncio.wait_for(self.seen.wait(), 0.8)
        self.seen.clear()


async def test_what_comes_is_looked_at_at_once_and_the_app_sleeps_after_it() -> None:
    app = Looking()
    async with app.run_test():
        threading.Thread(target=app.pace.wake).start()
        await app.next_look()
        await asyncio.sleep(4 / FPS)
        assert app.looks == 1


async def test_however_much_comes_there_are_so_many_looks_a_second() -> None:
    app = Looking()
    over = threading.Event()

    def flood() -> None:
        while not over.wait(0.001):
            app.pace.wake()

    async with app.run_test():
        threading.Thread(target=flood).start()
        await app.next_look()
        await asyncio.sleep(8 / FPS)
        over.set()
        assert 4 <= app.looks <= 11
        await app.next_look()
        await asyncio.sleep(2 / FPS)
        before = app.looks
        await asyncio.sleep(4 / FPS)
        assert app.looks == before


async def test_what_is_left_is_looked_at_next() -> None:
    app = Looking()
    async with app.run_test():
        app.left = 4
        app.pace.wake()
        while app.looks < 4:
            await app.next_look()


async def test_time_passes_where_nothing_comes() -> None:
    app = Looking()
    async with app.run_test():
        await asyncio.wait_for(app.seen.wait(), 2.0)
