"""Which widgets have their part of the screen to themselves, so that nothing need be composed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

Visible = Mapping[Widget, tuple[Region, Region]]
"""Widget -> its region and the region it is clipped to, from front to back."""


class Alone:
    """Remembers who stands where, as long as Textual's own map is the same."""

    def __init__(self) -> None:
        self._seen: Visible | None = None
        self._places: dict[Widget, Region] = {}

    def place(self, screen: Screen[Any], widget: Widget) -> Region | None:
        """Return where `widget` stands, None where something covers or cuts it, or may soon."""
        if screen._layout_required:
            return None
        visible = screen._compositor.visible_widgets
        if visible is not self._seen:
            self._seen, self._places = visible, alone(visible)
        return self._places.get(widget)


def alone(visible: Visible) -> dict[Widget, Region]:
    """Return the widgets that nothing stands before, and that are whole."""
    found: dict[Widget, Region] = {}
    before: list[Region] = []
    for widget, (region, clip) in visible.items():
        if clip.contains_region(region) and not any(region.overlaps(other) for other in before):
            found[widget] = region
        before.append(region)
    return found
