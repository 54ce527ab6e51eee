"""The module's own functions: those of the run that `init` made last."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llmtop.publish.describe import describe
from llmtop.publish.handles import Timer
from llmtop.publish.inbox import Inbox
from llmtop.publish.run import Run
from llmtop.wire import clean_name

_current: Run | None = None


def init(
    name: object = None, *extra: object, total_steps: int | None = None, phase: str = "train",
    rank: int | None = None, world_size: int | None = None, tags: Mapping[str, Any] | None = None,
    tokens_per_step: int | None = None, endpoint: str | None = None, config: Any = None,
    stoppable: bool = False, n_params: int | None = None, flops_per_token: float | None = None,
    **unknown: object,
) -> Run:  # fmt: skip
    """Open a run and make it the current one; runs opened before stay open.

    Args:
        name: What the monitor calls it; the script's name if None.
        *extra: Ignored, and told once.
        total_steps: Where it ends, for progress and time left.
        phase: train, eval or serve.
        rank: Of this process; read from torchrun's, Slurm's or MPI's variables if None.
        world_size: How many ranks there are; the same.
        tags: {name: anything JSON can say} shown beside the run.
        tokens_per_step: Of all ranks, for tokens a second.
        endpoint: "tcp://host:port" of a monitor elsewhere; LLMTOP_ENDPOINT if None.
        config: Hyper-parameters: a dict, or an object with fields.
        stoppable: A monitor of this user's may set `should_stop`, which the loop looks at.
        n_params: Parameters of the model, for MFU at 6 FLOPs each a token.
        flops_per_token: What a token costs forward and backward, where that is known better.
        **unknown: Arguments of other loggers. What says where the run belongs (project, group,
            notes) becomes tags, a project also the name of a run without one; the rest is
            ignored, and told once.
    """
    global _current
    inbox = Inbox()
    asked = {
        "total_steps": total_steps, "phase": phase, "rank": rank, "world_size": world_size,
        "tags": tags, "tokens_per_step": tokens_per_step, "config": config,
        "stoppable": stoppable, "n_params": n_params, "flops_per_token": flops_per_token,
    }  # fmt: skip
    where = None
    try:
        if unknown:
            from llmtop.publish import compat

            name, asked["tags"] = compat.adopt(name, tags, unknown)
        about = describe(inbox, name, asked)
        address = endpoint if endpoint is not None else os.environ.get("LLMTOP_ENDPOINT")
        where = clean_name(address) if address else None
    except Exception as error:  # What it is given may fail in any way.
        inbox.problem(f"init() failed: {type(error).__name__}", 0)
        about = describe(inbox, None, {})
    if extra or unknown:
        ignored = ", ".join([*unknown, *(f"a {type(one).__name__}" for one in extra)])
        inbox.problem(f"init() ignores {ignored}", 0)
    _current = Run(inbox, about, where, config)
    return _current


def current() -> Run:
    """Return the run that `init` made last; one by the script's name if there is none."""
    return _current if _current is not None else init()


def opened() -> Run | None:
    """Return the run that `init` made last, None if there is none or it is finished."""
    ended = _current is None or _current._inbox.state == "finished"
    return None if ended else _current


def log(
    metrics: Mapping[str, Any] | None = None, step: int | None = None,
    *extra: object, **unknown: object,
) -> None:  # fmt: skip
    """Do what `Run.log` does, for the current run."""
    (_current or current()).log(metrics, step, *extra, **unknown)


def observe(name: str, value: Any, *extra: object, **unknown: object) -> None:
    """Do what `Run.observe` does, for the current run."""
    (_current or current()).observe(name, value, *extra, **unknown)


def count(name: str, n: Any = 1, *extra: object, **unknown: object) -> None:
    """Do what `Run.count` does, for the current run."""
    (_current or current()).count(name, n, *extra, **unknown)


def timer(name: str, *extra: object, **unknown: object) -> Timer:
    """Do what `Run.timer` does, for the current run."""
    return (_current or current()).timer(name, *extra, **unknown)


def event(text: object, level: object = "info", *extra: object, **unknown: object) -> None:
    """Do what `Run.event` does, for the current run."""
    (_current or current()).event(text, level, *extra, **unknown)


def finish(reason: object = None, *extra: object, **unknown: object) -> None:
    """Do what `Run.finish` does, for the current run; without one there is nothing to finish."""
    if _current is not None:
        _current.finish(reason, *extra, **unknown)
