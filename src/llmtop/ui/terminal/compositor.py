"""Textual's updates as cells: the only module that knows what they are made of.

Written for Textual 8.2: a `LayoutUpdate` holds every row of the screen, a `ChopsUpdate` holds
pieces of rows ("chops") and the spans of them that are to be written.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Region, Size
from textual.strip import Strip

from llmtop.ui.terminal.cells import CellScreen, one_cell_each
from llmtop.ui.terminal.pen import DEFAULT_PEN, Pen, parse_pen

_SEAM: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (ChopsUpdate.__init__, ("self", "chops", "spans", "chop_ends")),
    (LayoutUpdate.__init__, ("self", "strips", "region")),
    (CompositorUpdate.render_segments, ("self", "console")),
    (App._display, ("self", "screen", "renderable")),
    (Strip.render_ansi, ("style", "color_system")),
    (Compositor.visible_widgets.fget, ("self",)),  # type: ignore[attr-defined]  # a property
)
"""Textual's private callables this folder relies on, with the parameters they had in 8.2.8."""


def seam_problem() -> str:
    """Return what has changed in Textual under the cell diff, "" if it is as expected."""
    for function, names in _SEAM:
        found = tuple(inspect.signature(function).parameters)
        if found != names:
            return f"{function.__qualname__} takes {found}, not {names}"
    return ""


class SurpriseError(Exception):
    """An update that is not of the shape this module was written for."""


class Written(CompositorUpdate):
    """An update whose bytes are already known; Textual adds its cursor move and sync marks."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render_segments(self, console: Console) -> str:
        """Return the text."""
        return self.text


class CompositorDiff:
    """Turns compositor updates into the text that changes the terminal's cells.

    Keeps which strip stands where: Textual hands out the same `Strip` object again for a row
    that has not changed, so most rows cost one comparison of identities.
    """

    def __init__(self) -> None:
        self._screen = CellScreen(0, 0)
        self._strips: list[dict[int, Strip]] = []

    def forget(self) -> None:
        """Assume nothing about what the terminal shows."""
        self._screen = CellScreen(0, 0)
        self._strips = []

    def text(self, update: CompositorUpdate, console: Console) -> str:
        """Return what must be written to make the terminal show `update`, "" if it does already.

        Raises:
            SurpriseError: An update of an unknown kind or shape; nothing is known afterwards.
        """
        with self._surprised():
            if type(update) is ChopsUpdate:
                self._draw_chops(update, console)
            elif type(update) is LayoutUpdate:
                self._draw_layout(update, console)
            else:
                raise SurpriseError(f"an update of kind {type(update).__name__}")
            return self._screen.take()

    def knows(self, size: Size) -> bool:
        """Return whether a screen of this size has been written whole."""
        return size.area > 0 and (self._screen.width, self._screen.height) == size

    def put(self, place: Region, rows: Mapping[int, Strip], console: Console) -> None:
        """Make rows of a region of the screen show strips; `take` tells what that takes.

        Raises:
            SurpriseError: A strip of an unknown kind or width; nothing is known afterwards.
        """
        with self._surprised():
            for y, strip in rows.items():
                if strip.cell_length != place.width:
                    raise SurpriseError(f"a row of {strip.cell_length} cells in {place}")
                self._draw_strip(place.y + y, place.x, strip, console)

    def take(self) -> str:
        """Return what must be written to make the terminal show what was put."""
        return self._screen.take()

    @contextmanager
    def _surprised(self) -> Iterator[None]:
        """Forget everything if something is not what it is expected to be."""
        try:
            yield
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            self.forget()
            raise SurpriseError(f"{type(error).__name__}: {error}") from error
        except SurpriseError:
            self.forget()
            raise

    def _draw_chops(self, update: ChopsUpdate, console: Console) -> None:
        self._fit(update.chop_ends[0][-1], len(update.chops))
        for y, x1, x2 in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
                if strip is None or x > x2 or end <= x1:
                    continue
                if not (x1 <= x < x2 and end <= x2):
                    strip = strip.crop(0, min(end, x2) - x)
                self._draw_strip(y, x, strip, console)

    def _draw_layout(self, update: LayoutUpdate, console: Console) -> None:
        region = update.region
        if region.x or region.y:
            raise SurpriseError(f"a layout at {region}")
        self._fit(region.width, region.height)
        for y, row in enumerate(update.strips):
            x = 0
            for strip in row:
                self._draw_strip(y, x, strip, console)
                x += strip.cell_length

    def _fit(self, width: int, height: int) -> None:
        if (self._screen.width, self._screen.height) != (width, height):
            self._screen = CellScreen(width, height)
            self._strips = [{} for _ in range(height)]

    def _draw_strip(self, y: int, x: int, strip: Strip, console: Console) -> None:
        shown = self._strips[y]
        if shown.get(x) is strip:
            return
        end = x + strip.cell_length
        covered = [at for at, other in shown.items() if at < end and at + other.cell_length > x]
        for at in covered:
            del shown[at]
        cells = _cells(strip, console._color_system or ColorSystem.TRUECOLOR)
        if cells is None:
            self._screen.write_raw(y, x, strip.render(console))
            for at in [at for at in shown if at > x]:
                del shown[at]
        else:
            self._screen.draw(y, x, *cells)
        shown[x] = strip


def _cells(strip: Strip, system: ColorSystem) -> tuple[list[str], list[Pen]] | None:
    """Return characters and pens, one a cell; None where a character is not one cell wide."""
    text = strip.text
    if not one_cell_each(text):
        return None
    pens: list[Pen] = []
    for part, style, control in strip:
        if control:
            raise SurpriseError("a control code in a strip")
        if style is None:
            pen = DEFAULT_PEN
        else:
            if style._link:
                return None
            sgr = style._ansi
            pen = parse_pen(Strip.render_ansi(style, system) if sgr is None else sgr)
        blank = pen.blank
        if blank is pen or " " not in part:
            pens += [pen] * len(part)
        elif not part.strip(" "):
            pens += [blank] * len(part)
        else:
            pens += [blank if char == " " else pen for char in part]
    return list(text), pens
