"""What the keys of a record mean: which one is its step, its time, its rank, its run.

JSON lines and tables of no tool in particular say these under a handful of usual names; the
first name of each list that a record has, and that holds what it should, is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmtop import metrics
from llmtop.formats.numbers import number_of, step_of, unix_time
from llmtop.samples import NO_STEP

STEP_KEYS = (
    "step", "global_step", "_step", "steps", "global_steps", "trainer/global_step",
    "train/global_step", "iteration", "iter", "iterations", "num_updates", "update", "it",
    "current_steps", "batch", "epoch",
)
"""Best first; an epoch is a step only where there is no other."""
TIME_KEYS = (
    "_timestamp", "timestamp", "time", "ts", "wall_time", "walltime", "Wall time", "datetime",
    "date", "created",
)
RANK_KEYS = ("rank", "global_rank", "process_index", "_rank")
RUN_KEYS = ("run", "run_name", "run_id", "experiment", "name")
EPOCH = "epoch"

_SETTINGS = frozenset({"learning_rate", "epoch", "tokens", "loss_scale", "requests"})
"""Metrics of the vocabulary that are written in configurations as often as in logs."""


def first_of(keys: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the name that is spelt as the first possible of `keys`, in any case."""
    spelt = {name.lower(): name for name in names}
    return next((spelt[key.lower()] for key in keys if key.lower() in spelt), None)


def take_step(values: dict[str, float]) -> int:
    """Return the step of flattened values and take it out of them; an epoch stays in."""
    for key in STEP_KEYS:
        if key in values and (step := step_of(values[key])) != NO_STEP:
            if key != EPOCH:
                del values[key]
            return step
    return NO_STEP


def take_time(record: Mapping[str, Any], values: dict[str, float]) -> float | None:
    """Return unix seconds of a record and take them out of its values.

    What does not lie in these decades, like seconds since the start, is left as a value.
    """
    for key in TIME_KEYS:
        if key in record and (moment := unix_time(record[key])) is not None:
            values.pop(key, None)
            return moment
    return None


def take_rank(record: Mapping[str, Any], values: dict[str, float]) -> int | None:
    """Return the rank of a record and take it out of its values."""
    for key in RANK_KEYS:
        if key in record and (rank := step_of(number_of(record[key]))) != NO_STEP:
            values.pop(key, None)
            return rank
    return None


def run_of(record: Mapping[str, Any], values: dict[str, float]) -> str:
    """Return the name of the run of a record, "" when it does not say."""
    for key in RUN_KEYS:
        name = record.get(key)
        if isinstance(name, str) and name:
            values.pop(key, None)
            return name
    return ""


def is_measured(name: str) -> bool:
    """Return whether a name is of the vocabulary, and of something that only a run can know."""
    found = metrics.find(name)
    return found is not None and found.name not in _SETTINGS
