"""mlx-lm: names and numbers between commas; its newer columns without names are not read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console, plain
from llmtop.formats.numbers import NUMBER

_LINE = re.compile(r"Iter (\d{1,12})(?: \(Opt \d{1,12}\))?: (?=(?:Train|Val|Test) loss )(.{1,600})")
_FIELD = re.compile(rf"([A-Z][A-Za-z/_ ]{{1,40}}) ({NUMBER})(?: ?(GB|s))?")
_SAVED = re.compile(r"Iter (\d{1,12}): Saved adapter weights to \S.*")
_TOTAL = re.compile(r"Starting training\.\.\., iters: (\d{1,12})\b")
_DONE = re.compile(r"Saved final (?:adapter )?weights to \S+")


class Mlx(Console):
    """Reads training and evaluation lines."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _LINE.match(line)
        if found is not None:
            values = {}
            for part in found.group(2).split(", "):
                field = _FIELD.fullmatch(part.strip())
                if field is not None:
                    values[field.group(1)] = plain(field.group(2))
            return (Points(values, int(found.group(1))),) if values else None
        found = _SAVED.match(line)
        if found is not None:
            return (Note(line.strip(), "checkpoint", int(found.group(1))),)
        found = _TOTAL.match(line)
        if found is not None:
            return self.about(found.group(1))
        return (End("finished", line.strip()),) if _DONE.match(line) else None


FORMATS = (
    LineFormat(
        name="mlx-lm",
        title="mlx-lm",
        example=(
            "Iter 40: Train loss 2.204, Learning Rate 1.000e-05, It/sec 0.812,"
            " Tokens/sec 301.442, Trained Tokens 14802, Peak mem 7.310 GB"
        ),
        marks=("Iter ", "Starting training..., iters: ", "Saved final "),
        reader=Mlx,
        units={
            "It/sec": "steps/s", "Tokens/sec": "tokens/s", "Peak mem": "GB", "Val took": "seconds",
        },
    ),
)  # fmt: skip
