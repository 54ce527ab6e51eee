"""The application: paints a skeleton, starts the engine, ticks, and turns keys into views."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding
from textual.events import Resize
from textual.screen import Screen

from llmtop.errors import nearest
from llmtop.ui.keys import KEYS, SCREENS
from llmtop.ui.mouse import Mouse
from llmtop.ui.pace import Pace
from llmtop.ui.panels.base import Content, Panel, Scene, Size
from llmtop.ui.panels.footer import Cost, News, footer_row
from llmtop.ui.telling import ask_to_stop, news, tell
from llmtop.ui.terminal.celldiff import CellDiffMixin
from llmtop.ui.theme import default_theme, drawn_styles, load_themes, variable_defaults
from llmtop.ui.view import View

if TYPE_CHECKING:
    from rich.style import Style

    from llmtop.delivery.delivery import Delivery
    from llmtop.engine import Engine
    from llmtop.ui.cost import Meter

COST_SECONDS = 2.0
"""How often the footer's cost is measured; its text is what would otherwise change every tick."""
FIRST_COST_SECONDS = 0.5
"""The first measurement comes earlier; one over less would tell of the start only."""


def _always(scene: Scene, size: Size) -> float:
    return scene.now


class LlmtopApp(CellDiffMixin, App[None]):
    """Shows what an engine knows."""

    CSS = """
    Screen { layout: vertical; background: $background; }
    #header { height: 2; }
    #footer { height: 1; }
    #prompt { height: 1; border: none; padding: 0 1; dock: bottom; }
    """
    TITLE = "llmtop"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [  # noqa: RUF012
        *(Binding(key.keys, key.action, key.label or key.help, show=False, id=key.action,
                  tooltip=key.help, priority=key.action in ("next_panel", "previous_panel"))
          for key in KEYS),
        *(Binding(key, f"screen('{name}')", text, show=False, id=f"screen.{name}")
          for key, name, text in SCREENS),
    ]

    def __init__(
        self, build: Callable[[], Engine], *, fps: float = 4.0, theme: str = "",
        slos: Mapping[str, float] | None = None,
        deliver: Callable[[], Delivery | None] = lambda: None,
    ) -> None:  # fmt: skip
        """Take what makes the engine, and what delivers alerts, after the first paint."""
        self.role_styles: dict[str, Style] = {}
        super().__init__()
        self.view = View(slos=tuple((slos or {}).items()))
        self.engine: Engine | None = None
        self.fps = fps
        self.cost: Cost | None = None
        self._meter: Meter | None = None
        self.delivery: Delivery | None = None
        self._build, self._deliver = build, deliver
        self._scene: Scene | None = None
        self._cost_at = 0.0
        self._mark: object = None
        self._place: dict[str, Any] = {}
        self.mouse = Mouse(self.scene, self.look)
        themes, self.theme_errors = load_themes()
        for found in themes:
            self.register_theme(found)
        names = [found.name for found in themes]
        if theme and theme not in names:
            self.theme_errors.append(f"no theme {theme!r}{nearest(theme, names)}")
        wanted = theme if theme in names else default_theme(self.console.color_system)
        if wanted in names:
            self.theme = wanted
        self._themes = names

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the chart colours a theme without a [chart] table gets."""
        return variable_defaults(self.current_theme)

    def compose(self) -> ComposeResult:
        """Return header, board and footer."""
        from llmtop.ui.board import Board
        from llmtop.ui.panels import header

        footer = Content("footer", lambda scene, size: [self._footer(size.width)], _always,
                         focusable=False, skeleton=lambda cells: [self._footer(cells)])
        yield Panel(header.CONTENT, id="header")
        yield Board()
        yield Panel(footer, id="footer")

    def on_mount(self) -> None:
        """Style, then start once the skeleton stands on the terminal."""
        self._restyle()
        self.theme_changed_signal.subscribe(self, lambda _: self._restyle())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        from llmtop.ui.screens import PLACES

        self._place = dict(PLACES)
        self.engine, self.delivery = self._build(), self._deliver()
        self._measure()
        self.engine.start(Pace(self, self.tick, self.fps).wake)
        self.tick()
        for problem in self.theme_errors:
            self.notify(problem, severity="warning")

    def on_unmount(self) -> None:
        """Stop the sources, and deliver what waits."""
        if self.engine is not None:
            self.engine.stop()
        if self.delivery is not None:
            self.delivery.close()

    def tick(self) -> bool:
        """Take in what came, then redraw what it changed; return whether more waits."""
        if self.engine is None:
            return False
        now = self.engine.clock.time()
        changes = self.engine.pump(now)
        tell(self, changes.alerts, now)
        if now - self._cost_at >= COST_SECONDS:
            self._measure()
        # What no sample, key or second has changed need not even be compared.
        mark = self.engine.store.version, self.view, now // 1, self.size
        if self.view.paused_at is None and mark != self._mark:
            self._mark = mark
            self.draw()
        return changes.backlog > 0

    def scene(self) -> Scene | None:
        """Return what the panels draw now, or None before the engine stands."""
        if self.engine is None:
            return None
        from llmtop.ui.select import selected
        from llmtop.ui.terminal.output import unicode_ok

        store, alerts = self.engine.store, self.engine.alerts
        return Scene(store, self.view, self.engine.clock.time(), selected(store, self.view),
                     tuple(alerts.active), tuple(alerts.pending), tuple(alerts.history),
                     ascii=not unicode_ok(), looking=self.engine.reading,
                     trouble=news(self).problem,
                     before=None if self._scene is None else self._scene.shown)

    def draw(self, force: bool = False) -> None:
        """Place the panels of the present screen and let those that changed draw."""
        scene = self.scene()
        if scene is None or (len(self.screen_stack) > 1 and not force):
            return
        board = self._board
        size = board.size
        if size.width <= 0 or size.height <= 0:
            return
        self._scene = scene
        board.put(self._place[self.view.screen](scene, (size.width, size.height)))
        board.show(scene, force)
        self._panel("header").show(scene, force=force)
        footer = self._panel("footer")
        footer.put_rows([self._footer(footer.size.width)])
        self.flush_rows()

    def draw_panel(self, panel: Panel) -> None:
        """Draw one panel that has just got its size; before there are data, its skeleton."""
        if self._scene is not None:
            panel.show(self._scene, focused=panel.key == self.view.focus, force=True)
        elif panel.content.skeleton is not None:
            panel.put_rows(panel.content.skeleton(panel.size.width))

    def look(self, view: View) -> None:
        """Change what the user looks at."""
        if view != self.view:
            self.view = view
            self.draw()

    def _footer(self, width: int) -> Any:
        if self.engine is None:
            return footer_row(None, 0, News(), width)
        return footer_row(self.cost, self.engine.store.dropped, news(self), width)

    def _measure(self) -> None:
        assert self.engine is not None
        now = self.engine.clock.time()
        if self._meter is None:
            from llmtop.ui.cost import Meter

            self._meter = Meter(self.bytes_written)
            self._cost_at = now - COST_SECONDS + FIRST_COST_SECONDS
            return
        self._cost_at = now
        self.cost = self._meter.read(self.bytes_written, self.cost)

    @property
    def _board(self) -> Any:
        from llmtop.ui.board import Board

        return self.screen_stack[0].query_one(Board)

    def _panel(self, name: str) -> Panel:
        return self.screen_stack[0].query_one(f"#{name}", Panel)

    def _restyle(self) -> None:
        self.role_styles = drawn_styles(self.theme_variables, self.get_line_filters())
        for panel in self.screen_stack[0].query(Panel):
            panel.restyle()

    def on_resize(self, event: Resize) -> None:
        """Lay the panels out anew once Textual has."""
        self.call_after_refresh(partial(self.draw, True))

    async def run_action(self, action: Any, *args: Any, **kwargs: Any) -> bool:
        """Run view actions from their table, everything else as Textual does."""
        from llmtop.ui.actions import TABLE

        name = action if isinstance(action, str) else action[1]
        make = TABLE.get(name.removeprefix("app."))
        scene = self.scene() if make else None
        if make is None:
            return await super().run_action(action, *args, **kwargs)
        if scene is not None and len(self.screen_stack) == 1:
            self.look(make(scene, self._board.order))
        return True

    def action_screen(self, name: str) -> None:
        """Show another screen."""
        from llmtop.ui.window import TIME_SCREENS

        view = replace(self.view, screen=name, maximised=False)
        if (name in TIME_SCREENS) != (self.view.screen in TIME_SCREENS):
            # What was looked at of one x axis means nothing on another.
            view = replace(view, window=None, span=None, cursor=None, hover=None)
        self.look(view)

    def action_acknowledge(self) -> None:
        """Note that every alert that fires has been seen."""
        if self.engine is not None:
            for alert in self.engine.alerts.active:
                self.engine.alerts.acknowledge(alert.key)
            self.draw()

    def action_stop_run(self) -> None:
        """Ask the selected run to stop."""
        ask_to_stop(self)

    def action_theme(self) -> None:
        """Go to the next theme."""
        at = self._themes.index(self.theme) if self.theme in self._themes else -1
        self.theme = self._themes[(at + 1) % len(self._themes)]
        self.notify(f"theme {self.theme}", timeout=2)

    def action_repaint(self) -> None:
        """Write every cell again."""
        self.invalidate()
        self.refresh(repaint=True, layout=True)
        self.draw(force=True)

    def action_help(self) -> None:
        """Show the key table."""
        from llmtop.ui.help import HelpScreen

        self.push_screen(HelpScreen(), lambda _: self.draw(force=True))

    def action_filter(self) -> None:
        """Ask for the filter's text in the bottom line."""
        from llmtop.ui.prompt import FilterPrompt

        if not self.query(FilterPrompt):
            prompt = FilterPrompt(self.view.filter)
            self.screen_stack[0].mount(prompt)
            prompt.focus()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return the palette's commands: the key table and the themes."""
        for _, name, text in SCREENS:
            yield SystemCommand(name.capitalize(), text, partial(self.action_screen, name))
        for key in KEYS:
            if key.action not in ("command_palette", "up", "down", "left", "right"):
                yield SystemCommand(
                    f"{(key.label or key.action.replace('_', ' ')).capitalize()}  ({key.show})",
                    key.help, partial(self.run_action, key.action))
        for name in self._themes:
            yield SystemCommand(f"Theme {name}", "use this theme", partial(setattr, self, "theme",
                                                                           name))
