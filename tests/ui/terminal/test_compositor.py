"""The cell diff under a real Textual app: frame by frame the terminal shows what Textual wrote."""

from __future__ import annotations

from typing import Any

import pyte
import pytest
from rich.console import RenderableType
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App, ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Input, Static

from llmtop.ui.terminal.celldiff import CellDiffMixin
from llmtop.ui.terminal.compositor import CompositorDiff, SurpriseError, seam_problem


class Question(ModalScreen[None]):
    CSS = "Question { align: center middle; } #q { width: 20; height: 5; border: round red; }"

    def compose(self) -> ComposeResult:
        yield Static("sure? 世界", id="q")


class Busy(CellDiffMixin, App[None]):
    """Feeds every update to two screens: as Textual writes it, and as the diff does."""

    CSS = "#left { width: 1fr; border: round green; } #right { width: 2fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.plain = pyte.Screen(60, 20)
        self.diffed = pyte.Screen(60, 20)
        self.sizes = [0, 0]
        self.frames = 0
        self.compared = CompositorDiff()

    def compose(self) -> ComposeResult:
        with Horizontal():
            with VerticalScroll(id="left"):
                for number in range(30):
                    yield Static(f"[bold]line[/] {number} ⣿⣿⡇ [link='http://a']x[/link]")
            yield DataTable(id="right")
        yield Input("text", id="input")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("name", "値", "step")
        for number in range(30):
            table.add_row(f"run-{number}", "0.1", number)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate) and not self._batch_count:
            columns, rows = extent(renderable)
            if (columns, rows) != (self.plain.columns, self.plain.lines):
                self.plain.resize(rows, columns)
                self.diffed.resize(rows, columns)
            ours = self.compared.text(renderable, self.console)
            theirs = renderable.render_segments(self.console)
            pyte.Stream(self.plain).feed("\x1b[?7l" + theirs)
            pyte.Stream(self.diffed).feed("\x1b[?7l" + ours)
            self.sizes[0] += len(theirs)
            self.sizes[1] += len(ours)
            self.frames += 1
            assert cells(self.diffed) == cells(self.plain), f"frame {self.frames}"
        super()._display(screen, renderable)


def extent(update: CompositorUpdate) -> tuple[int, int]:
    """The size of the screen an update is for, which trails the terminal's during a resize."""
    if isinstance(update, LayoutUpdate):
        return update.region.width, update.region.height
    assert isinstance(update, ChopsUpdate)
    return update.chop_ends[0][-1], len(update.chops)


def cells(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    return [
        [
            (" ", cell.bg)
            if cell.data == " " and not (cell.reverse or cell.underscore or cell.strikethrough)
            else tuple(cell)
            for cell in (screen.buffer[y][x] for x in range(screen.columns))
        ]
        for y in range(screen.lines)
    ]


async def test_the_screens_are_identical_in_every_frame_and_cost_less() -> None:
    app = Busy()
    async with app.run_test(size=(60, 20)) as pilot:
        table = app.query_one(DataTable)
        for number in range(8):
            table.update_cell_at((number, 1), f"0.{number} 損失" if number % 3 else "1.0")
            app.query("#left Static")[number].update(f"line {number * 7} ⡇⣿ 世界 done")
            await pilot.pause()
        for key in ("down", "down", "pagedown", "tab", "a", "b", "backspace"):
            await pilot.press(key)
        app.push_screen(Question())
        await pilot.pause()
        table.update_cell_at((3, 2), "behind")
        await pilot.pause()
        app.pop_screen()
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        app.query_one("#left").scroll_end(animate=False)
        await pilot.pause()
        app.theme = "textual-light"
        await pilot.pause()
    assert app.frames > 15
    assert app.sizes[1] < app.sizes[0] / 2


async def test_the_same_again_is_nothing() -> None:
    app = Busy()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        update = app.screen._compositor.render_full_update()
        app.compared.text(update, app.console)
        again = app.screen._compositor.render_full_update()
        assert app.compared.text(again, app.console) == ""
        app.compared.forget()
        assert app.compared.text(again, app.console) != ""


async def test_a_partial_update_before_any_full_one_is_written() -> None:
    app = Busy()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        compositor = app.screen._compositor
        compositor._dirty_regions = {Region(0, 2, 5, 1)}
        partial = compositor.render_partial_update()
        assert partial is not None
        diff = CompositorDiff()
        assert "\x1b[3" in diff.text(partial, app.console)
        assert diff.text(partial, app.console) == ""


class Odd(CompositorUpdate):
    """An update of a kind that does not exist yet."""


async def test_an_unknown_update_is_left_to_textual_and_three_end_the_diff() -> None:
    app = Busy()
    with pytest.raises(SurpriseError):
        app.compared.text(Odd(), app.console)
    written: list[object] = []

    class Watched(Busy):
        @property
        def _will_write(self) -> bool:
            return True

    watched = Watched()
    for _ in range(3):
        assert watched.diff_off == ""
        update = Odd()
        written.append(watched._shortened(update) is update)
    assert written == [True] * 3
    assert "Odd" in watched.diff_off


def test_textual_is_as_this_was_written_for() -> None:
    assert seam_problem() == ""
