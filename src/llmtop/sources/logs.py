"""What is known of one log: its runs and ranks, and which of its lines are copies of each other."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from llmtop import metrics
from llmtop.formats.base import About, Points
from llmtop.samples import RunInfo

RANK_LOCAL = frozenset((
    "tokens_per_second", "tokens_per_second_per_gpu", "samples_per_second", "steps_per_second",
    "step_time_seconds", "data_time_seconds", "mfu", "tflops", "memory_used_bytes",
    "memory_reserved_bytes",
))  # fmt: skip
"""Metrics in which the copies of a line that all ranks print may differ."""


@dataclass(slots=True)
class Columns:
    """Records of one set of names."""

    keys: list[int]
    """Their series, fewer than names where there was no room for more."""
    last: Points | None = None
    """The newest, to know the copies that other ranks print."""


@dataclass(slots=True)
class Session:
    """One run, or one rank of a run, of one log."""

    info: RunInfo
    columns: dict[tuple[str, ...], Columns] = field(default_factory=dict)
    """By the names of a record."""
    series: dict[str, int] = field(default_factory=dict)
    ended: bool = False
    """The log said that it is over, and has not gone on since."""
    recognised: bool = False
    """The format that finds its points is known."""


class Log:
    """One log: what its runs are called, and when its points were measured."""

    def __init__(self, key: str, name: str, source: str, *, exact_name: bool = False) -> None:
        self.key, self.name, self.source = key, name, source
        self.exact_name = exact_name
        """The name is the user's: what the log says of itself does not replace it."""
        self.sessions: dict[tuple[str, int | None], Session] = {}
        self.about: dict[str, About] = {}
        self.skipped: Counter[str] = Counter()
        self.points = 0
        self.copies = 0
        """Records left out because another rank had printed the same."""
        self.numbered = False
        """Records of lines with neither step nor time count as steps: there is no other axis."""
        self.tags: dict[str, object] = {}
        self.host, self.pid, self.started = "", 0, 0.0
        """Of the process that writes it, where that is known."""


def run_key(log: str, run: str = "") -> str:
    """Return what one run of a log is known by: all its ranks share it."""
    return f"{log}#{run}"


def is_copy(before: Points, point: Points) -> bool:
    """Tell whether two records of one step and one set of names are one, said by two ranks."""
    for name, value in point.values.items():
        other = before.values[name]
        if value != other and not (math.isnan(value) and math.isnan(other)):
            known = metrics.find(name)
            if known is None or known.name not in RANK_LOCAL:
                return False
    return True
