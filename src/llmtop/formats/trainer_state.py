"""trainer_state.json and *_results.json of the Hugging Face Trainer.

The state is written anew at each checkpoint, with the whole history in it; each record is told
once. After a resume from an earlier checkpoint the history forks: what is new from there is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import About, End, FileFormat, Item, Points
from llmtop.formats.documents import Document
from llmtop.formats.numbers import flatten, number_of, step_of

_TAGS = (
    "num_train_epochs", "logging_steps", "eval_steps", "save_steps", "train_batch_size",
    "best_metric", "best_model_checkpoint",
)
_RESULTS = re.compile(
    rb'"(?:train|eval|test|predict)_(?:loss|runtime|samples_per_second|steps_per_second)"'
)
_INDENTED = re.compile(rb'\s*\{\r?\n\s+"')
"""A document over several lines, as save_metrics writes it under any name."""


def _state(state: dict[str, Any]) -> Iterator[Item]:
    """Yield what a trainer_state.json says."""
    history = state.get("log_history")
    if not isinstance(history, list):
        return
    yield _about(state)
    for record in history:
        if isinstance(record, dict):
            yield from _record(record)


def _about(state: dict[str, Any]) -> About:
    total = step_of(number_of(state.get("max_steps")))
    tags = {key: state[key] for key in _TAGS if state.get(key) is not None}
    return About(total_steps=total if total > 0 else None, tags=tags)


def _record(record: dict[str, Any]) -> Iterator[Item]:
    values = flatten(record)
    step = step_of(values.pop("step", None))
    if values:
        yield Points(values, step)
    if "train_runtime" in values:
        yield End("finished")


def _results(results: dict[str, Any]) -> Iterator[Item]:
    """Yield the numbers of a *_results.json; they are of the whole run, without a step."""
    values = flatten(results)
    if values:
        yield Points(values)


def _is_state(path: Path, head: bytes) -> bool:
    return head.lstrip()[:1] == b"{" and b'"log_history"' in head and b'"global_step"' in head


def _is_results(path: Path, head: bytes) -> bool:
    return (
        head.lstrip()[:1] == b"{"
        and b'"log_history"' not in head
        and (path.name.endswith("results.json") or _INDENTED.match(head) is not None)
        and _RESULTS.search(head) is not None
    )


FORMATS = (
    FileFormat(
        name="trainer-state",
        title="Hugging Face Trainer, trainer_state.json",
        example='trainer_state.json: {"global_step": 9, "log_history": [{"loss": 2.3, "step": 9}]}',
        sniff=_is_state,
        reader=partial(Document, items=_state),
    ),
    FileFormat(
        name="trainer-results",
        title="Hugging Face Trainer, all_results.json and its like",
        example='eval_results.json: {"epoch": 3.0, "eval_loss": 1.57, "eval_runtime": 219.9}',
        sniff=_is_results,
        reader=partial(Document, items=_results),
    ),
)
