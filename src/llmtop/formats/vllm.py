"""vLLM's server: its interval statistics, one line an engine, none while it is idle."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number, timestamp

_START = "Avg prompt throughput: "
_SPEC = "SpecDecoding metrics: "
_ENGINE = re.compile(r"\bEngine (\d{1,6}): $")
HEAD = 30
"""Characters from the level on that hold the time, with a year or without."""
NAMES = {
    "Avg prompt throughput": "prompt_tps",
    "Avg generation throughput": "gen_tps",
    "Running": "running",
    "Waiting": "waiting",
    "Pending": "waiting",
    "Swapped": "swapped",
    "Deferred": "deferred",
    "Preemptions": "preemptions",
    "Corrupted": "corrupted",
    "GPU KV cache usage": "kv_pct",
    "CPU KV cache usage": "cpu_kv_pct",
    "Prefix cache hit rate": "prefix_hit_pct",
    "External prefix cache hit rate": "external_prefix_hit_pct",
    "MM cache hit rate": "mm_hit_pct",
}
"""What the log calls a number -> a name for it; versions print others, in another order."""
SPEC_NAMES = {
    "Mean acceptance length": "spec_accept_len",
    "Accepted throughput": "spec_accepted_tps",
    "Drafted throughput": "spec_drafted_tps",
    "Avg Draft acceptance rate": "spec_draft_accept_pct",
}
"""The same, of speculative decoding."""
_FATAL = re.compile(r"\bERROR\b.*\b(EngineCore (?:failed to start|encountered a fatal error).*)")
_DOWN = "Application shutdown complete."


class Vllm(Console):
    """Reads statistics; those of speculative decoding name no engine: they follow its own."""

    def __init__(self) -> None:
        super().__init__()
        self._engine: int | None = None
        self._seen = False

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        start = line.find(_START)
        if start >= 0:
            found = _ENGINE.search(line, 0, start)
            self._engine = None if found is None else int(found.group(1))
            return self._statistics(line, start, NAMES)
        start = line.find(_SPEC)
        if start >= 0:
            return self._statistics(line, start + len(_SPEC), SPEC_NAMES)
        fatal = _FATAL.search(line)
        if fatal is not None:
            text = fatal.group(1).strip()
            return () if self.again(text) else (Note(text, "error", time=timestamp(line)),)
        if self._seen and line.rstrip().endswith(_DOWN):
            return (End("finished", _DOWN),)
        return None

    def _statistics(
        self, line: str, start: int, names: dict[str, str]
    ) -> Iterable[Item] | None:
        values = {}
        for part in line[start:].split(", "):
            logged, _, text = part.partition(": ")
            name = names.get(logged)
            if name is None:
                continue
            # The first generation ends its line with a period.
            read = number(text.rstrip(" .%").partition(" ")[0])
            if read is not None:
                values[name] = read
        if not values:
            return None
        self._seen = True
        return (Points(values, time=_time(line), rank=self._engine),)


def _time(line: str) -> float | None:
    """Return the time, which follows the level: a search of the whole line takes long."""
    at = line.find("INFO ")
    return timestamp(line[at : at + HEAD] if at >= 0 else line)


FORMATS = (
    LineFormat(
        name="vllm",
        title="vLLM server",
        example=(
            "(APIServer pid=4410) INFO 06-14 09:20:31 [loggers.py:259] Engine 000:"
            " Avg prompt throughput: 812.4 tokens/s, Avg generation throughput: 204.7 tokens/s,"
            " Running: 12 reqs, Waiting: 3 reqs, GPU KV cache usage: 41.7%,"
            " Prefix cache hit rate: 28.3%"
        ),
        marks=(_START, _SPEC, "EngineCore ", _DOWN),
        reader=Vllm,
        units={
            "prompt_tps": "tokens/s", "gen_tps": "tokens/s", "kv_pct": "percent",
            "cpu_kv_pct": "percent", "prefix_hit_pct": "percent",
            "external_prefix_hit_pct": "percent", "mm_hit_pct": "percent",
            "spec_accepted_tps": "tokens/s", "spec_drafted_tps": "tokens/s",
            "spec_draft_accept_pct": "percent", "spec_accept_len": "tokens",
        },
        phase="serve",
    ),
)  # fmt: skip
