"""What latencies a server promises: "ttft=200ms,itl=50ms", or the name of a usual set of limits."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmtop.errors import UsageError, nearest

KEYS = {
    "ttft": "ttft_seconds", "itl": "itl_seconds", "tpot": "tpot_seconds", "e2e": "e2e_seconds",
    "e2el": "e2e_seconds", "queue": "queue_seconds",
}  # fmt: skip
"""As people write them -> metric; e2el is vLLM's word."""
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_LIMIT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s|m)")


def _tokens(ttft_ms: float, tpot_ms: float) -> dict[str, float]:
    return {"ttft_seconds": ttft_ms / 1e3, "tpot_seconds": tpot_ms / 1e3}


def _gaps(ttft_ms: float, itl_ms: float) -> dict[str, float]:
    return {"ttft_seconds": ttft_ms / 1e3, "itl_seconds": itl_ms / 1e3}


PRESETS: dict[str, Mapping[str, float]] = {
    "chat": _gaps(200, 50),
    "rag": _gaps(300, 100),
    "content": _gaps(600, 200),
    "code": _gaps(500, 150),
    "llama2-70b": _tokens(2000, 200),
    "llama2-70b-interactive": _tokens(450, 40),
    "mixtral-8x7b": _tokens(2000, 200),
    "llama3.1-405b": _tokens(6000, 175),
    "llama3.1-405b-interactive": _tokens(4500, 80),
    "llama3.1-8b": _tokens(2000, 100),
    "llama3.1-8b-interactive": _tokens(500, 30),
    "deepseek-r1": _tokens(2000, 80),
    "deepseek-r1-interactive": _tokens(1500, 15),
    "gpt-oss-120b": _tokens(3000, 80),
    "gpt-oss-120b-interactive": _tokens(2000, 15),
}
"""Limits of p99: the first four as GuideLLM suggests them, the others MLPerf Inference's."""


def parse_slo(text: str) -> dict[str, float]:
    """Return metric -> the most that it may be, in seconds; "" promises nothing.

    Raises:
        UsageError: it is neither limits nor the name of a preset.
    """
    limits: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            if key not in PRESETS:
                raise UsageError(f"--slo: no preset {key!r}{nearest(key, PRESETS)}; "
                                 "write ttft=200ms,itl=50ms")
            limits.update(PRESETS[key])
            continue
        metric = KEYS.get(key.lower())
        if metric is None:
            raise UsageError(f"--slo: {key!r} is no latency{nearest(key, KEYS)}; "
                             f"there are {', '.join(KEYS)}")
        found = _LIMIT.fullmatch(value.lower())
        seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
        if seconds <= 0:
            raise UsageError(f"--slo: {key}={value}: write a time as 200ms or 1.5s")
        limits[metric] = seconds
    return limits


def limit_text(seconds: float) -> str:
    """Return a limit as short as people write it: "200ms", "1.5s"."""
    return f"{seconds * 1e3:.4g}ms" if seconds < 1 else f"{seconds:.4g}s"
