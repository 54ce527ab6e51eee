"""What is remembered of alerts between two monitors: one small JSON file of the user's.

Only so that a restart does not tell everything again; whatever is wrong with the file, alerts work.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

MAX_SAVED = 1000
"""Alerts remembered, the newest: as many as can be active."""
MAX_BYTES = 1 << 20
OLDEST_SECONDS = 7 * 86_400.0
"""An alert nobody has judged for a week is forgotten."""
REFRESH_SECONDS = 600.0
"""A monitor says this often that what it sees is firing still."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Saved:
    """One alert as it was."""

    since: float
    fired_at: float
    resolved_at: float | None = None
    acknowledged: bool = False
    silenced_until: float = 0.0
    seen: float = 0.0
    """When a monitor last saw it firing."""


def state_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where it is kept: $XDG_STATE_HOME/llmtop/alerts.json."""
    base = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "llmtop" / "alerts.json"


def read_saved(path: Path, now: float) -> dict[str, Saved]:
    """Return what is remembered, by key; nothing of what cannot be read."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MAX_BYTES))
        if document["version"] != VERSION:
            return {}
        found = {}
        for key, one in document["alerts"].items():
            resolved = one["resolved_at"]
            saved = Saved(
                float(one["since"]), float(one["fired_at"]),
                None if resolved is None else float(resolved), bool(one["acknowledged"]),
                float(one["silenced_until"]), float(one.get("seen", 0.0)),
            )  # fmt: skip
            if now - max(saved.fired_at, saved.resolved_at or 0.0) < OLDEST_SECONDS:
                found[str(key)] = saved
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def seen(alerts: Mapping[str, Saved], keys: Iterable[str], at: float) -> dict[str, Saved]:
    """Return alerts of some keys, as they are known, seen firing at a time."""
    return {key: replace(alerts[key], seen=at) for key in keys}


def write_saved(path: Path, alerts: Mapping[str, Saved]) -> str:
    """Replace the file in one step; return what went wrong, "" if nothing did."""
    newest = sorted(alerts.items(), key=lambda item: item[1].fired_at)[-MAX_SAVED:]
    document = {"version": VERSION, "alerts": {key: asdict(one) for key, one in newest}}
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        return f"{path}: {(error.strerror or str(error)).lower()}"
    return ""
