"""Numbers -> rows of cells: pure functions over numpy arrays, without a word of Textual.

`plot_area` says how many dot columns a chart of a size has, `column_grid` which stretch of x each
holds; the caller fills traces and `plot` returns a `Picture` of code points and `ROLES`:

- blank, text, dim, bright, frame, accent, ok, warning, critical: as everywhere on the screen;
- grid: lines at the y ticks; axis: labels of both axes; cursor: the crosshair and its readout;
- series-1..6: lines, points and end labels; raw-1..6: envelopes of raw samples, faint traces;
- fill-1-a..fill-6-d: the area under a line, from the top of the chart (a) to its bottom (d).
"""

from llmtop.chart.braille import bridged
from llmtop.chart.grid import Grid, column_grid
from llmtop.chart.labels import y_label_cells
from llmtop.chart.picture import ROLES, Picture
from llmtop.chart.plot import plot
from llmtop.chart.ranges import nice_range
from llmtop.chart.smooth import ema
from llmtop.chart.spark import bar, sparkline
from llmtop.chart.spec import Area, Mark, Plot, Threshold, Trace, plot_area
from llmtop.chart.ticks import log_ticks, ticks, x_ticks

__all__ = [
    "ROLES", "Area", "Grid", "Mark", "Picture", "Plot", "Threshold", "Trace", "bar", "bridged",
    "column_grid", "ema", "log_ticks", "nice_range", "plot", "plot_area", "sparkline", "ticks",
    "x_ticks", "y_label_cells",
]
