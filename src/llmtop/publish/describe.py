"""What HELLO says of a run: checked and bounded once, at init()."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from llmtop.publish import environment
from llmtop.publish.inbox import Inbox
from llmtop.wire import clean_name

PHASES = ("train", "eval", "serve")
COUNTS = ("tokens_per_step", "n_params", "flops_per_token")
"""Arguments of init that become tags: what throughput and MFU are worked out from."""
MAX_TAGS_BYTES = 65_536
"""JSON of all tags: a large config, and a fraction of the largest frame."""
LARGEST_COUNT = 1 << 53
"""Ranks and step totals above are mistakes, and JSON readers lose their digits."""


def describe(inbox: Inbox, name: object, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of HELLO that do not change; what cannot be used is complained about.

    Args:
        inbox: Where mistakes are told.
        name: The run's name, None for that of the script.
        asked: total_steps, phase, rank, world_size, tags, tokens_per_step, config,
            stoppable as given.
    """
    rank, world_size = environment.rank_and_world_size()
    about = {
        "role": "publisher",
        "name": clean_name(environment.default_name() if name is None else name),
        "host": clean_name(os.uname().nodename),
        "pid": os.getpid(),
        "rank": _count(inbox, "rank", asked.get("rank"), rank),
        "world_size": _count(inbox, "world_size", asked.get("world_size"), world_size),
        "phase": _phase(inbox, asked.get("phase")),
        "started": time.time(),
        "total_steps": _count(inbox, "total_steps", asked.get("total_steps"), None),
        "tags": tags_of(inbox, asked),
        "stoppable": True if asked.get("stoppable") is True else None,
    }
    return {key: value for key, value in about.items() if value is not None}


def _count(inbox: Inbox, what: str, value: Any, default: int | None) -> int | None:
    if value is None:
        return default
    try:
        count = int(value)
        if 0 <= count < LARGEST_COUNT:
            return count
    except Exception:  # __int__ is the user's.
        count = -1
    inbox.problem(f"{what} is not a whole number from 0", 0)
    return default


def _phase(inbox: Inbox, phase: Any) -> str:
    if phase is None or phase in PHASES:
        return phase or PHASES[0]
    inbox.problem(f"phase is none of {', '.join(PHASES)}", 0)
    return PHASES[0]


def tags_of(inbox: Inbox, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the user's tags with the counts, config and local_rank among them."""
    tags: dict[str, Any] = {}
    given = asked.get("tags")
    named = {"tags": given} if given is not None and not isinstance(given, dict) else given or {}
    extra = {
        **{name: _count(inbox, name, asked.get(name), None) for name in COUNTS},
        "local_rank": environment.local_rank(),
        "config": asked.get("config"),
    }
    for key, value in {**named, **extra}.items():
        if value is None:
            continue
        try:
            plain = json.loads(json.dumps({str(key): value}, default=_plain, skipkeys=True))
            if len(json.dumps({**tags, **plain})) > MAX_TAGS_BYTES:
                inbox.problem(f"tags and config of more than {MAX_TAGS_BYTES} bytes are cut", 0)
                continue
        except Exception:  # So are the objects in tags and config.
            inbox.problem(f"tag {clean_name(key)!r} cannot be told as JSON", 0)
            continue
        tags.update(plain)
    return tags


def forked(about: dict[str, Any], parent: int) -> dict[str, Any]:
    """Return what HELLO says of a child of `parent` that goes on with its run."""
    tags = {**about.get("tags", {}), "forked_from": parent}
    return {**about, "pid": os.getpid(), "started": time.time(), "tags": tags}


def _plain(value: Any) -> Any:
    """Return the fields of a config object, or the text of anything else."""
    fields = getattr(value, "__dict__", None)
    return dict(fields) if fields else str(value)[:200]
