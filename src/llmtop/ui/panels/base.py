"""The widget behind every panel: rows in, only the rows that differ out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.events import Leave, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from llmtop.ui.rows import Row, fit
from llmtop.ui.shown import Shown
from llmtop.ui.window import TIME_SCREENS

if TYPE_CHECKING:
    from rich.style import Style

    from llmtop.rules.alert import Alert
    from llmtop.rules.machine import Device
    from llmtop.store import Run, Store
    from llmtop.ui.view import View

SETTLE_SECONDS = 1.0
"""How long a picture may lag behind its samples: a line that grows by a few dots a second is
followed as well at one picture a second, and its newest value stands in the title at once."""


@dataclass(frozen=True)
class Scene:
    """Everything a panel may look at; nothing else reaches it."""

    store: Store
    view: View
    now: float
    run: Run | None = None
    """The selected run."""
    alerts: tuple[Alert, ...] = ()
    """Those that fire, worst first."""
    pending: tuple[Alert, ...] = ()
    """Those that hold, but not for long enough yet."""
    past: tuple[Alert, ...] = ()
    """Those that are over, newest first."""
    ascii: bool = False
    looking: bool = False
    """The sources have not been read to their present end yet."""
    before: Shown | None = None
    """The selected run as the picture before showed it: what stands for what seldom changes."""
    trouble: str = ""
    """Why a source is lost, and what helps; "" if none is."""

    @cached_property
    def shown(self) -> Shown | None:
        """The selected run as charts read it."""
        kept = None if self.before is None else self.before.still(self.run)
        return kept or (None if self.run is None else Shown(self.run))

    @cached_property
    def host(self) -> Run | None:
        """The machine that the selected run is on, or the first there is."""
        # After the first paint only: it brings numpy along.
        from llmtop.rules.machine import machine_of

        return machine_of(self.store, self.run)

    @cached_property
    def devices(self) -> list[Device]:
        """The GPUs of that machine."""
        from llmtop.rules.machine import devices

        return [] if self.host is None else devices(self.host)

    @cached_property
    def stage(self) -> Shown | None:
        """What the x axis spans, and keys move: the machine on its own screen, else the run."""
        if self.view.screen in TIME_SCREENS:
            return None if self.host is None else Shown(self.host)
        return self.shown


@dataclass(frozen=True)
class Size:
    """What a panel has to fill."""

    width: int
    height: int
    focused: bool = False


Frame = Callable[[Scene, Size], list[Row]]
Signature = Callable[[Scene, Size], Hashable]


@dataclass(frozen=True)
class Content:
    """What a panel shows and how it answers the mouse: functions, without a state."""

    key: str
    frame: Frame
    """The rows, from what is known and looked at."""
    signature: Signature
    """What the rows depend on: they are drawn anew as soon as it differs."""
    focusable: bool = True
    skeleton: Callable[[int], list[Row]] | None = None
    """The rows at a width, before there is anything to draw from."""
    head: Callable[[Scene, Size], Row] | None = None
    """The first row alone, with the newest values."""
    pulse: Signature | None = None
    """What moves with every sample: the head follows at once, the other rows once a second."""
    x_at: Callable[[Scene, Size, int], float | None] | None = None
    """The x value under a column of cells, for charts."""
    pick: Callable[[Scene, Size, int, int], View | None] | None = None
    """The view after a click on the cell at (x, y), for lists."""


class Panel(Widget):
    """Shows one content."""

    DEFAULT_CSS = "Panel { height: 1fr; width: 1fr; }"
    can_focus = False

    def __init__(self, content: Content, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.content = content
        self.scene: Scene | None = None
        self._rows: list[Row] = []
        self._width = 0
        self._strips: list[Strip | None] = []
        self._drawn: Any = None
        self._pulse: Any = None
        self._drawn_at = 0.0
        self._behind = False

    @property
    def key(self) -> str:
        """The content's key."""
        return self.content.key

    @property
    def cells(self) -> Size:
        """The panel's size, for its content's functions."""
        return Size(self.size.width, self.size.height)

    def show(self, scene: Scene, focused: bool = False, force: bool = False) -> None:
        """Draw the scene if it differs from what stands there, refreshing only changed rows."""
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        size, content = Size(width, height, focused), self.content
        drawn = (content.signature(scene, size), scene.view, size)
        pulse = content.pulse(scene, size) if content.pulse else None
        beats, self._pulse = pulse != self._pulse, pulse
        self._behind = self._behind or beats
        due = self._behind and not 0 <= scene.now - self._drawn_at < SETTLE_SECONDS
        if force or due or drawn != self._drawn:
            self._drawn, self.scene = drawn, scene
            self._drawn_at, self._behind = scene.now, False
            self.put_rows(content.frame(scene, size))
        elif beats and content.head is not None and scene.view.crosshair is None:
            self._put([content.head(scene, size)])

    def put_rows(self, rows: list[Row]) -> None:
        """Take new rows and refresh those that differ from what stands there."""
        width, height = self.size
        rows = (rows + [((" " * width, "blank"),)] * (height - len(rows)))[:height]
        if len(self._rows) != len(rows) or self._width != width:
            self._rows, self._width = rows, width
            self._strips = [None] * len(rows)
            self.refresh()
            return
        self._put(rows)

    def _put(self, rows: Sequence[Row]) -> None:
        """Take the first rows anew."""
        changed = [y for y, (row, old) in enumerate(zip(rows, self._rows, strict=False))
                   if row != old]
        for y in changed:
            self._rows[y] = rows[y]
            self._strips[y] = None
        if changed:
            self._app.put_rows(self, changed)

    def on_resize(self) -> None:
        """Draw at once what stands there, at the new size."""
        self._app.draw_panel(self)

    def restyle(self) -> None:
        """Forget the styled rows: the theme has changed."""
        self._strips = [None] * len(self._rows)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return row `y` as it was last put; styles are looked up once a row."""
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self._styles().get("blank"))
        strip = self._strips[y]
        if strip is None or strip.cell_length != self.size.width:
            styles = self._styles()
            blank = styles["blank"]
            row = fit(self._rows[y], self.size.width)
            strip = Strip(
                [Segment(text, styles.get(role, blank)) for text, role in row], self.size.width
            )
            self._strips[y] = strip
        return strip

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows in `crop`: they are styled, and have no border and no padding."""
        lines = [self.render_line(y) for y in crop.line_range]
        if crop.x == 0 and crop.width == self.size.width:
            return lines
        return [line.crop(crop.x, crop.right) for line in lines]

    def on_mouse_down(self, event: MouseDown) -> None:
        """Focus the panel or pick a row; a drag that begins here pans from here."""
        event.stop()
        self._app.mouse.press(self, event.x, event.y)
        self.capture_mouse()

    def on_mouse_up(self, event: MouseUp) -> None:
        """End a drag."""
        event.stop()
        self.release_mouse()
        self._app.mouse.release()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Pan while a button is held, else let the crosshair follow."""
        event.stop()
        self._app.mouse.move(self, event.x, event.button != 0)

    def on_leave(self, event: Leave) -> None:
        """Take the crosshair away."""
        self._app.mouse.leave()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Zoom in around the mouse, or move up a list."""
        event.stop()
        self._app.mouse.wheel(self, event.x, -1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Zoom out around the mouse, or move down a list."""
        event.stop()
        self._app.mouse.wheel(self, event.x, 1)

    @property
    def _app(self) -> Any:
        return self.app

    def _styles(self) -> dict[str, Style]:
        styles: dict[str, Style] = self._app.role_styles
        return styles
