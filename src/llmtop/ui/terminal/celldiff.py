"""The App's side of the terminal: writes only changed cells, survives odd input, counts bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from rich.console import RenderableType
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.filter import LineFilter
from textual.geometry import Offset, Region
from textual.screen import Screen
from textual.widget import Widget

from llmtop.ui.terminal.alone import Alone
from llmtop.ui.terminal.compositor import CompositorDiff, SurpriseError, Written, seam_problem
from llmtop.ui.terminal.driver import TerminalDriver
from llmtop.ui.terminal.files import Terminal
from llmtop.ui.terminal.greys import GreyNeutrals

SURPRISES = 3
"""Updates that may be of an unexpected shape before the diff is given up for good: one may come
with a screen that changes its size, more mean that Textual has changed."""


class CellDiffMixin(App[Any]):
    """Put before `App` in an App's bases; without any call of its own it does its work.

    Anything unexpected makes it step aside: Textual then writes its own output.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend_process", show=False, id="suspend"),
    ]

    terminal: Terminal | None = None
    """The terminal to run on, set before the run; else the driver finds its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._diff = CompositorDiff()
        self._alone = Alone()
        self._surprises = 0
        self._shown_cursor = Offset(-1, -1)
        self._greys = GreyNeutrals()
        self.diff_off = seam_problem()
        """Why Textual's own output is used instead of the cell diff; "" while it is not."""
        if "NO_COLOR" in os.environ:
            # Textual would otherwise turn colours into greys instead of leaving them out.
            kwargs.setdefault("ansi_color", True)
        super().__init__(*args, **kwargs)

    @property
    def bytes_written(self) -> int:
        """Bytes sent to the terminal since the start; 0 where nothing is drawn."""
        return getattr(self._driver, "bytes_written", 0)

    def invalidate(self) -> None:
        """Forget what the terminal shows: the next update is written whole."""
        self._diff.forget()
        self._shown_cursor = Offset(-1, -1)

    def repaint(self) -> None:
        """Write every cell again, for a terminal that another program has written on."""
        self.invalidate()
        self.refresh(layout=True)

    def get_driver_class(self) -> type[Driver]:
        """Return Textual's choice, with its driver for Unix terminals replaced by ours."""
        chosen = super().get_driver_class()
        return TerminalDriver if chosen is LinuxDriver else chosen

    def get_line_filters(self) -> list[LineFilter]:
        """Return Textual's filters; with 256 colours also one that keeps neutrals grey."""
        filters = list(super().get_line_filters())
        if self.console.color_system == "256":
            filters.append(self._greys)
        return filters

    def on_resize(self, event: Resize) -> None:
        """Have everything written again."""
        # Terminals reflow or cut rows on a resize, also on one that ends at the size it began with.
        self.repaint()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, self._shortened(renderable))

    def _shortened(self, renderable: RenderableType | None) -> RenderableType | None:
        """Return the update with only what changed, None where nothing did."""
        update: object = renderable
        if self.diff_off or not isinstance(update, CompositorUpdate) or not self._will_write:
            return renderable
        try:
            text = self._diff.text(update, self.console)
        except SurpriseError as surprise:
            self._note(surprise)
            return renderable
        if not text and self.cursor_position == self._shown_cursor:
            return None
        self._shown_cursor = self.cursor_position
        return cast("RenderableType", Written(text))

    def put_rows(self, widget: Widget, rows: Sequence[int]) -> None:
        """Have rows of a widget drawn again: at once where it stands alone, else by Textual.

        What is drawn at once waits for `flush_rows`. It spares the widget's messages to the screen,
        the screen's timer and the composing of rows that are whole already.
        """
        place = self._place_of(widget)
        if place is not None:
            strips = {y: widget.render_line(y) for y in rows if y < place.height}
            try:
                self._diff.put(place, strips, self.console)
            except SurpriseError as surprise:
                self._note(surprise)
                self.repaint()
            return
        width = widget.size.width
        widget.refresh(*(Region(0, y, width, 1) for y in rows))

    def flush_rows(self) -> None:
        """Write what was drawn at once."""
        if self._driver is None or not (text := self._diff.take()):
            return
        self._begin_update()
        self._driver.write(text)
        self._end_update()
        self._driver.flush()

    def _place_of(self, widget: Widget) -> Region | None:
        """Return where rows of `widget` may be written past Textual, None where they may not."""
        # A focused widget may have the terminal's cursor, which only Textual puts back.
        if (self.diff_off or not self._will_write or len(self.screen_stack) != 1
                or self.focused is not None or not self._diff.knows(self.size)):
            return None
        return self._alone.place(self.screen, widget)

    def _note(self, surprise: SurpriseError) -> None:
        """Step aside for good after too many surprises."""
        self._surprises += 1
        if self._surprises >= SURPRISES:
            self.diff_off = str(surprise)

    @property
    def _will_write(self) -> bool:
        """Whether Textual will write an update now: what it drops must not count as shown."""
        return bool(
            not self._batch_count
            and self._running
            and not self._closed
            and not self.is_headless
            and self._driver is not None
            and not self._driver.is_inline
        )
