"""What the user looks at: one frozen value, changed only by `replace` in a key action."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Axis = Literal["step", "time", "elapsed"]
AXES: tuple[Axis, ...] = ("step", "time", "elapsed")
AUTO = -1.0
SMOOTHING = (AUTO, 0.0, 0.6, 0.9, 0.97, 0.99)
"""EMA factors in the order `s` walks them; AUTO, with which the screen starts, fits the factor to
the number of points in sight: few are hardly smoothed, so that the line does not lag behind."""
ZOOM = 1.5
PAN = 0.15
"""Share of the window that one arrow key moves it."""
MIN_SPAN = {"step": 4.0, "time": 2.0, "elapsed": 2.0}
"""The narrowest window: two seconds or four steps across the whole chart."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything a key can change."""

    screen: str = "overview"
    run: int | None = None
    """Id of the selected run; None follows the newest live one."""
    rank: int | None = None
    """The rank whose own numbers are shown beside those of all."""
    axis: Axis | None = None
    """None: step where the run has steps, else time."""
    window: tuple[float, float] | None = None
    """A fixed window in axis units; None with `span` None shows everything."""
    span: float | None = None
    """Follow the newest `span` axis units."""
    smoothing: float = SMOOTHING[0]
    log: frozenset[str] = frozenset()
    """Keys of panels whose y axis is logarithmic."""
    paused_at: float | None = None
    cursor: float | None = None
    """x of the crosshair in axis units."""
    hover: float | None = None
    """x under the mouse; a crosshair that goes with it."""
    filter: str = ""
    focus: str = ""
    maximised: bool = False
    theme: str = ""
    slos: tuple[tuple[str, float], ...] = ()
    """Latency -> seconds that were promised."""

    @property
    def crosshair(self) -> float | None:
        """x of the line through all panels: the cursor's, else the mouse's."""
        return self.cursor if self.cursor is not None else self.hover

    @property
    def follows(self) -> bool:
        """Whether the right edge is the newest data."""
        return self.window is None


Extent = tuple[float, float]


def visible(view: View, extent: Extent) -> Extent:
    """Return the (start, stop) that the view shows of data that spans `extent`."""
    low, high = extent
    if view.window is not None:
        return view.window
    if view.span is not None:
        return max(low, high - view.span), high
    return low, high


def zoomed(view: View, extent: Extent, axis: Axis, factor: float, at: float = 1.0) -> View:
    """Return the view zoomed by `factor` around share `at` (0 left .. 1 right) of the window."""
    start, stop = visible(view, extent)
    span = max((stop - start) * factor, MIN_SPAN[axis])
    if span >= extent[1] - extent[0]:
        return replace(view, window=None, span=None)
    if view.follows and at >= 0.98:
        return replace(view, span=span)
    centre = start + at * (stop - start)
    return _clamped(view, extent, centre - at * span, span)


def panned(view: View, extent: Extent, share: float) -> View:
    """Return the view moved by `share` of its window; past the newest data it follows again."""
    start, stop = visible(view, extent)
    span = stop - start
    if span >= extent[1] - extent[0]:
        return view
    moved = start + share * span
    if moved + span >= extent[1]:
        return replace(view, window=None, span=span)
    return _clamped(view, extent, moved, span)


def _clamped(view: View, extent: Extent, start: float, span: float) -> View:
    start = min(max(start, extent[0]), max(extent[0], extent[1] - span))
    return replace(view, window=(start, start + span), span=None)


def choose(view: View, run: int) -> View:
    """Draw another run large; its axes are its own, so zoom and cursor start anew."""
    return replace(view, run=run, rank=None, window=None, span=None, cursor=None, hover=None)
