"""Stragglers: ranks that take longer than the fastest, report after report."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from llmtop.rules.detectors.base import Finding, Look
from llmtop.rules.detectors.settings import Straggler
from llmtop.rules.stretches import Stretches
from llmtop.rules.targets import newest
from llmtop.store import Run, Series
from llmtop.store.arena import F8

MOST = 0.5
"""Share of the ranks that can be behind: if more are, it is the fastest that is odd."""


@dataclass(slots=True)
class _Ranks:
    known: tuple[int, int]
    series: list[Series]
    seen: list[int]
    slow: dict[int, int] = field(default_factory=dict)
    """Rank -> reports in a row in which it was behind."""
    since: dict[int, float] = field(default_factory=dict)


class StragglerDetector:
    """Compares the ranks of each run whenever all of them have reported."""

    def __init__(self, settings: Straggler) -> None:
        self._settings = settings
        self._runs: dict[int, _Ranks] = {}

    def look(self, look: Look) -> list[Finding]:
        """Make a report of each run whose ranks all have new points."""
        found: list[Finding] = []
        for run in look.grown:
            ranks = self._ranks(run)
            if len(ranks.series) < 2:
                continue
            new = [one.n - seen for one, seen in zip(ranks.series, ranks.seen, strict=True)]
            if min(new) < self._settings.points:
                continue
            ids = np.array([one.id for one in ranks.series], np.int64)
            points, counts = look.store.windows(ids, np.array(new, np.int64))
            of = Stretches(points.time, points.value, counts, np.zeros(len(counts))).finite
            with np.errstate(all="ignore"):
                means = of.quantiles(0.5)
            ranks.seen = [one.n for one in ranks.series]
            time = float(points.time.max())
            found += self._report(run, ranks, means, time)
        return found

    def _report(self, run: Run, ranks: _Ranks, means: F8, time: float) -> list[Finding]:
        found = []
        best = float(np.nanmin(means)) if np.isfinite(means).any() else 0.0
        ratio = np.divide(best, means, out=np.ones(len(means)), where=means > 0)
        behind = ratio < self._settings.ratio
        if behind.mean() > MOST:
            behind[:] = False
        for one, slow, mean, part in zip(ranks.series, behind, means, ratio, strict=True):
            rank = one.rank if one.rank is not None else 0
            before = ranks.slow.get(rank, 0)
            ranks.slow[rank] = before + 1 if slow else 0
            if slow and not before:
                ranks.since[rank] = time
            step = one.last.step if one.last else -1
            if ranks.slow[rank] == self._settings.reports:
                found.append(Finding(
                    run, True, time, rank, step=step, value=float(mean), unit=one.unit,
                    detail=f"{1 / float(part):.1f} times the fastest rank's",
                ))  # fmt: skip
            elif not slow and before >= self._settings.reports:
                found.append(Finding(run, False, time, rank, step=step, value=float(mean),
                                     unit=one.unit))
        return found

    def _ranks(self, run: Run) -> _Ranks:
        known = len(run.series), run.attempt
        kept = self._runs.get(run.id)
        if kept is None or kept.known != known:
            found = newest(run, self._settings.metric)
            series = [found[key] for key in sorted(found, key=lambda key: key[0] or 0)
                      if key[0] is not None and found[key].n]
            if kept is not None and series == kept.series:
                kept.known = known
                return kept
            kept = _Ranks(known, series, [one.n for one in series])
            self._runs[run.id] = kept
        return kept
