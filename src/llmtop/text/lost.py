"""How many samples never arrived, wherever they were lost."""

from __future__ import annotations

from llmtop.store import Store


def dropped(store: Store) -> int:
    """Return the samples lost on the way here and those the publishers had no room for."""
    told = (series for run in store.runs for series in run.find("llmtop_dropped"))
    return store.dropped + round(sum(series.sum for series in told))
