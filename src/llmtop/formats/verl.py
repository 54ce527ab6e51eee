"""verl: all metrics of a step in one line of several kB, after Ray's prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Note, Points
from llmtop.formats.console import Console
from llmtop.formats.numbers import number
from llmtop.formats.unit_rules import UnitRules

_LINE = re.compile(r"(?:^|[\s)])step:(\d{1,12}) - (?=\S{1,200}:)")
_TOTAL = re.compile(r"\bTotal training steps: (\d{1,12})\s*$")
_SAVED = re.compile(r"\blocal_global_step_folder: (\S{1,400}?global_step_(\d{1,12}))\b")


class Verl(Console):
    """Reads the console backend's lines; names may hold colons, so the last one divides."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LINE.search(line)
        if found is not None:
            values = {}
            for part in line[found.end() :].split(" - "):
                name, _, text = part.rpartition(":")
                if name and (read := number(text)) is not None:
                    values[name] = read
            return (Points(values, int(found.group(1))),) if values else None
        found = _TOTAL.search(line)
        if found is not None:
            return self.about(found.group(1))
        found = _SAVED.search(line)
        if found is not None and not self.again(found.group(1)):
            return (Note(f"saved {found.group(1)}", "checkpoint", int(found.group(2))),)
        return None if found is None else ()


FORMATS = (
    LineFormat(
        name="verl",
        title="verl",
        example=(
            "(TaskRunner pid=31207) step:12 - actor/entropy:0.4107 - actor/pg_loss:-0.0031"
            " - critic/rewards/mean:0.2812 - perf/throughput:1204.5"
        ),
        marks=("step:", "Total training steps: ", "local_global_step_folder: "),
        reader=Verl,
        units=UnitRules(
            (r"timing_s/(?:.*/)?(?:num_preempted|\w+_length)(?:/\w+)?", ""),
            (r"timing_s/.*", "seconds"),
            (r"timing_per_token_ms/.*", "ms"),
            (r"perf/\w+_gb", "GiB"),
            (r"perf/throughput", "tokens/s"),
        ),
    ),
)
