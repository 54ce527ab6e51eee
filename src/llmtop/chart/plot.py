"""A line chart: grid, areas, raw envelopes, bright lines, points, marks, crosshair, labels."""

from __future__ import annotations

from llmtop.chart.labels import draw_end_labels, draw_x_labels, draw_y_labels, y_ticks
from llmtop.chart.marks import draw_bad, draw_cursor, draw_grid, draw_marks, draw_threshold
from llmtop.chart.picture import Canvas, Picture
from llmtop.chart.plain import plain
from llmtop.chart.scale import scale
from llmtop.chart.spec import X_LABELS_FROM, Plot, plot_area
from llmtop.chart.traces import draw_traces, field


def plot(spec: Plot, width: int, height: int, *, unicode: bool = True) -> Picture:
    """Return the chart as `height` rows of `width` cells, at least one; never fails.

    Args:
        spec: what to show; its arrays have `plot_area(width, height).dots` columns, and are cut
            or extended where they do not.
        width: cells.
        height: rows.
        unicode: False draws with ASCII characters only.
    """
    canvas = Canvas(max(1, width), max(1, height))
    area = plot_area(width, height, spec.y_labels, spec.end_labels)
    y = scale(spec.low, spec.high, spec.log, area.height)
    on = field(canvas, area)
    labels = y_ticks(y, spec.unit)
    draw_grid(on, [*labels])
    draw_traces(on, spec, y)
    for threshold in spec.thresholds:
        draw_threshold(on, threshold, y)
    draw_marks(on, spec.marks)
    draw_cursor(on, spec)
    draw_bad(on, spec.traces)
    draw_y_labels(canvas, labels, area)
    if area.right:
        draw_end_labels(canvas, spec, area, y)
    if height >= X_LABELS_FROM:
        draw_x_labels(canvas, spec, area)
    return canvas.picture() if unicode else plain(canvas.picture())
