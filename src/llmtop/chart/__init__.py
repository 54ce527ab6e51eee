"""Numbers -> rows of cells: pure functions over numpy arrays, without a word of Textual.

`plot_area` says how many dot columns a chart of a size has, `column_grid` which stretch of x each
holds; the caller fills traces and `plot` returns a `Picture` of code points and `ROLES`.
"""

from llmtop.chart.axis import Grid, column_grid, nice_range, x_ticks
from llmtop.chart.braille import bridged
from llmtop.chart.picture import ROLES, Picture
from llmtop.chart.plot import Area, Mark, Plot, Threshold, Trace, plot, plot_area
from llmtop.chart.smooth import ema
from llmtop.chart.spark import bar, sparkline

__all__ = [
    "ROLES", "Area", "Grid", "Mark", "Picture", "Plot", "Threshold", "Trace", "bar", "bridged",
    "column_grid", "ema", "nice_range", "plot", "plot_area", "sparkline", "x_ticks",
]
