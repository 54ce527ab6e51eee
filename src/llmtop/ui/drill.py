"""From a run to one of its ranks: key actions that choose whose numbers the charts show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llmtop.ui.panels import ranks

if TYPE_CHECKING:
    from llmtop.ui.panels.base import Scene
    from llmtop.ui.view import View


def outlier(scene: Scene) -> View:
    """Choose the rank that is worst off, then the next one in trouble."""
    known = ranks.fleet(scene)
    found = [] if known is None else known.outliers
    if not found:
        return scene.view
    at = found.index(scene.view.rank) + 1 if scene.view.rank in found else 0
    return replace(scene.view, rank=found[at % len(found)])


def neighbour(scene: Scene, by: int) -> View:
    """Choose the next rank."""
    if scene.run is None or not ranks.has_ranks(scene.run):
        return scene.view
    return _step(scene.view, sorted(rank for _, some in ranks.hosts(scene.run) for rank in some),
                 by)


def host(scene: Scene, by: int) -> View:
    """Choose the lowest rank of the next host."""
    run = scene.run
    if run is None or not ranks.has_ranks(run):
        return scene.view
    hosts = ranks.hosts(run)
    first = [members[0] for _, members in hosts]
    here = next((members[0] for _, members in hosts if scene.view.rank in members), None)
    return _step(replace(scene.view, rank=here), first, by)


def _step(view: View, choice: list[int], by: int) -> View:
    """Choose the next of some ranks, from either end where none is chosen."""
    if view.rank not in choice:
        return replace(view, rank=choice[0 if by > 0 else -1])
    return replace(view, rank=choice[(choice.index(view.rank) + by) % len(choice)])
