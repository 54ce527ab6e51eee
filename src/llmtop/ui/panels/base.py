"""The widget behind every panel: rows in, only the rows that differ out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from llmtop.ui.rows import Row, fit

if TYPE_CHECKING:
    from rich.style import Style

    from llmtop.store import Run, Store
    from llmtop.ui.view import View


@dataclass(frozen=True)
class Scene:
    """Everything a panel may look at; nothing else reaches it."""

    store: Store
    view: View
    now: float
    run: Run | None = None
    """The selected run."""
    ascii: bool = False


@dataclass(frozen=True)
class Size:
    """What a panel has to fill."""

    width: int
    height: int
    focused: bool = False


Frame = Callable[[Scene, Size], list[Row]]
Signature = Callable[[Scene], Hashable]


class Panel(Widget):
    """Shows the rows of one frame function."""

    DEFAULT_CSS = "Panel { height: 1fr; width: 1fr; }"
    can_focus = False

    def __init__(
        self, key: str, frame: Frame, signature: Signature, id: str | None = None  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.key = key
        self.frame = frame
        self.signature = signature
        self.scene: Scene | None = None
        self._rows: list[Row] = []
        self._strips: list[Strip | None] = []
        self._drawn: Any = None

    def show(self, scene: Scene, focused: bool = False, force: bool = False) -> None:
        """Draw the scene if it differs from what stands there, refreshing only changed rows."""
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        drawn = (self.signature(scene), scene.view, width, height, focused)
        if drawn == self._drawn and not force:
            return
        self._drawn, self.scene = drawn, scene
        self.put_rows(self.frame(scene, Size(width, height, focused)))

    def put_rows(self, rows: list[Row]) -> None:
        """Take new rows and refresh those that differ from what stands there."""
        width, height = self.size
        rows = [fit(row, width) for row in rows]
        rows = (rows + [((" " * width, "blank"),)] * (height - len(rows)))[:height]
        old = self._rows
        if len(old) != len(rows):
            self._rows, self._strips = rows, [None] * len(rows)
            self.refresh()
            return
        for y, row in enumerate(rows):
            if row != old[y]:
                old[y] = row
                self._strips[y] = None
                self.refresh(Region(0, y, width, 1))

    def on_resize(self) -> None:
        """Draw at once what stands there, at the new size."""
        self.app.draw_panel(self)  # type: ignore[attr-defined]

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

    def _styles(self) -> dict[str, Style]:
        styles: dict[str, Style] = self.app.role_styles  # type: ignore[attr-defined]
        return styles
