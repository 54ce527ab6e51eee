"""Which run is drawn, and which of its series stand for a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmtop.store import Run, Series, Store
    from llmtop.ui.view import View

_ORDER = {"live": 0, "restarted": 0, "stale": 1, "failed": 2, "died": 2, "finished": 3}
_PHASES = {"train": 0, "eval": 2, "serve": 1}


def matching(store: Store, view: View) -> list[Run]:
    """Return the runs that have the filter's text in their name, a metric's name or their log.

    Machines are no runs to choose from.
    """
    text = view.filter.lower()
    found = [run for run in store.runs
             if not run.is_host and (text in run.name.lower() or _mentions(run, text))]
    return sorted(found, key=lambda run: (_ORDER.get(run.state, 1), _PHASES.get(run.phase, 1),
                                          run.name, run.id))


def _mentions(run: Run, text: str) -> bool:
    return (any(text in series.name.lower() for series in run.series)
            or any(text in line.text.lower() for line in run.log))


def selected(store: Store, view: View) -> Run | None:
    """Return the run that is drawn large: the chosen one, else the liveliest newest training."""
    runs = matching(store, view)
    if view.screen == "serve":
        runs = [run for run in runs if run.phase == "serve"] or runs
    chosen = next((run for run in runs if run.id == view.run), None)
    if chosen is not None or not runs:
        return chosen
    return min(runs, key=lambda run: (_ORDER.get(run.state, 1), _PHASES.get(run.phase, 1),
                                      -run.started))


def headline(run: Run, metric: str) -> Series | None:
    """Return the one series that stands for a metric in a list: lowest rank, newest attempt."""
    found = [s for s in run.find(metric) if s.n]
    if not found:
        return None
    return max(found, key=lambda s: (s.attempt, not s.derived, -(s.rank or 0)))
