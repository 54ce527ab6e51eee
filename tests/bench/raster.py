"""One chart of three series of 10 000 points, from numbers to text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from tests.bench.table import Row, missing

from llmtop.chart import Plot, Trace, column_grid, ema, nice_range, plot, plot_area, x_ticks
from llmtop.store.columns import Sheet

WIDTH, HEIGHT = 100, 30
POINTS, SERIES = 10_000, 3
SECONDS = 2.0


def raster() -> Iterator[Row]:
    """Yield milliseconds a frame, the least there was."""
    random = np.random.default_rng(0)
    x = np.arange(float(POINTS))
    values = [3 * np.exp(-x / 3000) + k + random.random(POINTS) * 0.2 for k in range(SERIES)]
    ours = _least(lambda: _ours(x, values))
    yield Row(f"llmtop: {SERIES} x {POINTS:,} points, {WIDTH}x{HEIGHT}, raw, smoothed, axes",
              f"{ours * 1e3:.2f} ms")
    for name, draw in (("plotext", _plotext), ("uniplot", _uniplot)):
        try:
            cost = _least(lambda draw=draw: draw(x, values))  # type: ignore[misc]
        except ImportError:
            yield missing(name)
        else:
            yield Row(f"{name}: the same points as lines", f"{cost * 1e3:.0f} ms = "
                      f"{cost / ours:,.0f} x")


def _least(draw: Callable[[], object]) -> float:
    best, give_up = float("inf"), time.perf_counter() + SECONDS
    while True:
        began = time.perf_counter()
        draw()
        ended = time.perf_counter()
        best = min(best, ended - began)
        if ended > give_up:
            return best


def _ours(x: np.ndarray, values: list[np.ndarray]) -> object:
    area = plot_area(WIDTH, HEIGHT)
    grid = column_grid(0.0, float(POINTS), area.dots)
    traces, lows, highs = [], [], []
    for k, value in enumerate(values):
        sheet = Sheet(grid.start, grid.stop, grid.count)
        sheet.add_points(x, value, ordered=True, finite=True)
        columns = sheet.columns()
        lows.append(np.nanmin(columns.low))
        highs.append(np.nanmax(columns.high))
        traces.append(Trace(k, line=ema(columns.mean, columns.n, 0.9), low=columns.low,
                            high=columns.high, label=f"{value[-1]:.3f}"))
    low, high = nice_range(None, min(lows), max(highs))
    ticks = x_ticks("step", grid, 0.0, area.width)
    picture = plot(Plot(traces, low, high, x_ticks=ticks), WIDTH, HEIGHT)
    return [picture.runs(y) for y in range(HEIGHT)]


def _plotext(x: np.ndarray, values: list[np.ndarray]) -> object:
    import plotext

    plotext.clear_figure()
    plotext.plotsize(WIDTH, HEIGHT)
    for value in values:
        plotext.plot(x.tolist(), value.tolist(), marker="braille")
    return plotext.build()


def _uniplot(x: np.ndarray, values: list[np.ndarray]) -> object:
    from uniplot import plot_to_string

    return plot_to_string(values, [x] * len(values), width=WIDTH - 8, height=HEIGHT - 4,
                          lines=True, character_set="braille")
