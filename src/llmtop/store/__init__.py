"""The only place samples live: runs, their series, raw rings, whole-run buckets, histograms.

The contract. One thread owns a `Store`. Sources' batches go in by `apply`, their samples all at
once by `commit`; runs and series come out as objects to ask. Reading changes nothing. Whatever a
run's length, its memory is bounded and no extreme value is lost: what leaves a series' raw ring is
in its buckets. NaN and infinities are kept and counted; what could not be kept is counted too, in
`Store.dropped` and `Store.overflowed`.
"""

from llmtop.store.bucketed import BucketedSeries
from llmtop.store.columns import Columns
from llmtop.store.density import Share, counted, density, share_below
from llmtop.store.group import Group
from llmtop.store.points import Points
from llmtop.store.quantiles import Quantiles
from llmtop.store.ranks import Spread, cross_rank
from llmtop.store.runs import STALE_SECONDS, Attempt, RankState, Run, State
from llmtop.store.series import Axis, Point, Series, Summary
from llmtop.store.store import Store
from llmtop.store.together import time_means

__all__ = [
    "STALE_SECONDS",
    "Attempt",
    "Axis",
    "BucketedSeries",
    "Columns",
    "Group",
    "Point",
    "Points",
    "Quantiles",
    "RankState",
    "Run",
    "Series",
    "Share",
    "Spread",
    "State",
    "Store",
    "Summary",
    "counted",
    "cross_rank",
    "density",
    "share_below",
    "time_means",
]
