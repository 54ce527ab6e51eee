"""Foreign values -> what can be queued: converted at the call, since they may change after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmtop.publish import tensors
from llmtop.publish.names import PRINTABLE
from llmtop.wire import clean_name

MAX_DEPTH = 8
"""Nested dicts that are followed: deeper than any config, shallower than a cycle."""
MAX_VALUES = 8192
"""Values a call may hold: as many as a frame."""
MAX_TEXT = 200
"""Characters kept of a text, in which one may find a number: what is told of it."""
SIMPLE = frozenset({float, int, bool, str, type(None)})
"""Immutable and cheap to convert later, in the thread."""

Complain = Callable[[str], None]


def flatten(metrics: Mapping[Any, Any], complain: Complain) -> dict[Any, Any]:
    """Return {name: float | int | bool | str | None | Slot}, nested names joined with "/".

    Whatever is not a number is left out and complained about.
    """
    flat: dict[Any, Any] = {}
    _flatten(metrics, "", 0, flat, complain)
    return flat


def _flatten(
    metrics: Mapping[Any, Any], prefix: str, depth: int, flat: dict[Any, Any], complain: Complain
) -> None:
    for key, value in metrics.items():
        nested = type(value) not in SIMPLE and isinstance(value, Mapping)
        name = key
        if prefix or nested:
            if not isinstance(key, PRINTABLE):
                complain(f"a key of type {type(key).__name__} is not a name")
                continue
            name = f"{prefix}/{clean_name(key)}" if prefix else clean_name(key)
        if type(value) in SIMPLE:
            flat[name] = value[:MAX_TEXT] if type(value) is str else value
        elif nested:
            if depth >= MAX_DEPTH:
                complain(f"a dict nested deeper than {MAX_DEPTH} cannot be logged")
            else:
                _flatten(value, name, depth + 1, flat, complain)
        else:
            number = convert(value, complain)
            if number is not None:
                flat[name] = number
        if len(flat) > MAX_VALUES:
            complain(f"more than {MAX_VALUES} values in one call")
            return


def convert(value: Any, complain: Complain) -> Any:
    """Return `value` as a float, a Slot for one that is still on its way from a GPU, or None."""
    if type(value) in SIMPLE:
        return value[:MAX_TEXT] if type(value) is str else value
    try:
        torch = tensors.torch_of(value)
        if torch is not None:
            return tensors.read(torch, value)
        item = getattr(value, "item", None)
        # float() of a one-element numpy array of more dimensions warns; item() does not.
        return float(item() if callable(item) else value)
    except tensors.Unusable as reason:
        complain(str(reason))
    except Exception:  # Conversions are the user's, or a library's.
        complain(f"a value of type {type(value).__name__} is not a number")
    return None


def whole_step(step: Any, problem: Callable[..., None]) -> int | None:
    """Return a step as a number, None for the next one, -1 where it is none; `problem` is told."""
    if step is None or type(step) is int:
        return step
    if tensors.torch_of(step) is not None and step.is_cuda:
        problem("a step on a GPU would block; log a number", 0)
        return -1
    whole = convert(step, problem)
    try:
        return int(whole)
    except (TypeError, ValueError, OverflowError):
        problem(f"a step of type {type(step).__name__} is no whole number", 0)
        return -1
