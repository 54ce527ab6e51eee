"""What counters grew by between two looks: never less than nothing.

A value below the one before it, or a server that says it began anew, counts from zero, as in
Prometheus. A sample that was not there at the last look has no increment yet, unless the page
tells that it was made since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmtop.sources.scraping.exposition import Sample
from llmtop.sources.scraping.plan import F8, Plan

CREATED = "_created"
STARTED = "process_start_time_seconds"
GROWING = ("_total", "_bucket", "_sum", "_count", "")
"""What stands for `_created` in the names of the samples whose time of birth it tells."""
SKEW_SECONDS = 60.0
"""What the clocks of two machines may differ by. A sample made before the last look was on the
last page too; only what a router has just begun to tell of can be older."""


class Growth(NamedTuple):
    """What the groups of a plan grew by since the last look."""

    delta: F8
    """Shape (groups,); 0 where nothing is known."""
    known: NDArray[np.bool_]
    """Shape (groups,): at least one sample of the group was there at the last look."""
    fell: int
    """Samples that were below their last value."""
    counting: int
    """Samples that were above zero at the last look."""


@dataclass(slots=True)
class Counting:
    """The last values of one plan's samples."""

    plan: Plan
    last: F8
    """Beside `plan.counted`; NaN where a sample was not there."""

    @classmethod
    def begin(
        cls, plan: Plan, samples: Sequence[Sample], known: dict[Sample, float]
    ) -> Counting:
        """Begin with what was last known of the samples, under an older plan perhaps."""
        last = [known.get(samples[place], np.nan) for place in plan.counted.tolist()]
        return cls(plan, np.array(last, dtype=np.float64))

    def look(self, values: F8, anew: bool) -> Growth:
        """Return what was counted since the last look.

        Args:
            values: of the whole page.
            anew: the server says it began since then.
        """
        plan, last = self.plan, self.last
        now = values[plan.counted]
        with np.errstate(invalid="ignore"):
            fell = now < last
            delta = now if anew else np.where(fell, now, now - last)
        seen = np.isfinite(last) & np.isfinite(now)
        delta = np.where(seen & (delta >= 0), delta, 0.0)
        self.last = now
        return Growth(
            _summed(plan, delta), _summed(plan, seen.astype(np.float64)) > 0,
            int(fell.sum()), int((last > 0).sum()),
        )

    def remember(self, samples: Sequence[Sample], known: dict[Sample, float]) -> None:
        """Add the last values to `known`, for a plan that follows this one."""
        known.update(
            (samples[place], value)
            for place, value in zip(self.plan.counted.tolist(), self.last.tolist(), strict=True)
        )


def _summed(plan: Plan, each: F8) -> F8:
    """Return the sum of each group."""
    found = np.bincount(plan.groups, weights=each, minlength=plan.group_count)
    return found.astype(np.float64)


class Births:
    """Notices that a server, or a counter of it, was made anew."""

    def __init__(self) -> None:
        self._last: dict[Sample, float] = {}
        self._header = ""

    def anew(self, samples: Sequence[Sample], values: Sequence[float], header: str) -> bool:
        """Tell whether something on the page was made since the last look.

        Args:
            samples: those of `births`, with their values.
            values: beside them.
            header: what the server said of its start besides, "" for nothing.
        """
        last = self._last
        changed = any(
            sample in last and last[sample] != value
            for sample, value in zip(samples, values, strict=True)
        )
        self._last = dict(zip(samples, values, strict=True))
        changed |= bool(header and self._header and header != self._header)
        self._header = header or self._header
        return changed


def births(samples: Sequence[Sample]) -> list[int]:
    """Return the places of the samples that say when something was made."""
    return [
        place for place, sample in enumerate(samples)
        if sample.name == STARTED or sample.name.endswith(CREATED)
    ]


def newborn(
    samples: Sequence[Sample], values: Sequence[float], since: float
) -> dict[Sample, float]:
    """Return 0 for each sample that the page says was made since a time (unix seconds)."""
    made = {
        (sample.name.removesuffix(CREATED), frozenset(sample.labels.items()))
        for sample, value in zip(samples, values, strict=True)
        if sample.name.endswith(CREATED) and value > since - SKEW_SECONDS
    }
    if not made:
        return {}
    return {sample: 0.0 for sample in samples if not made.isdisjoint(_families(sample))}


def _families(sample: Sample) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    labels = frozenset(pair for pair in sample.labels.items() if pair[0] != "le")
    return [
        (sample.name[: len(sample.name) - len(suffix)], labels)
        for suffix in GROWING if sample.name.endswith(suffix)
    ]
