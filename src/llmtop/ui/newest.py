"""What the title of a chart tells without its lines: the newest values, over ranks or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from llmtop.ui.curve import MOST_CURVES, Curve

if TYPE_CHECKING:
    from llmtop.store import Group, Series
    from llmtop.ui.shown import Shown
    from llmtop.ui.specs import ChartSpec


def newest(spec: ChartSpec, shown: Shown, rank: int | None = None) -> list[Curve]:
    """Return the chart's curves without their lines: names, colours and newest values."""
    nothing = np.empty(0)
    out = []
    for colour, name in enumerate([n for n in spec.names if n in shown.named][:MOST_CURVES]):
        group = shown.group((name,))
        if group is None:
            continue
        median = Curve(name, colour, nothing, **told(group))
        mine = next((one for one in group.series if one.rank == rank), None)
        if mine is not None and mine.last is not None and rank is not None:
            median = Curve(f"rank {rank}", colour, nothing, latest=mine.last.value * mine.factor,
                           among=median if len(group.series) > 1 else None)
        out.append(median)
    return out


class Told(TypedDict):
    """The fields of a curve that tell it."""

    latest: float
    spread: tuple[float, float] | None


def told(group: Group) -> Told:
    """Return the median of the ranks' newest values, and the least and greatest of them.

    What a rank that died said last is no news, as long as others live.
    """
    values = group.last.value * group.series[0].factor
    if len(values) == 1:
        return {"latest": float(values[0]), "spread": None}
    ranks = group.run.ranks
    dead = {rank for rank, seen in ranks.items() if seen.state in ("died", "failed")}
    if dead and len(dead) < len(ranks):
        values = values[[one.rank not in dead for one in group.series]]
    values = values[np.isfinite(values)]
    if not len(values):
        return {"latest": np.nan, "spread": None}
    return {"latest": float(np.median(values)),
            "spread": (float(values.min()), float(values.max()))}


def of_rank(found: list[Series], rank: int | None, drawn_as: str) -> list[Series]:
    """Return the one rank's series where only one can be drawn, else all of them."""
    if rank is None or (drawn_as == "gauge" and found[0].kind != "counter"):
        return found
    return [one for one in found if one.rank == rank] or found
