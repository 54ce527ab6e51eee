"""Lines of "step 12/500 | loss: 2.5 | 151768 tok/s": the names may stand before or after."""

from __future__ import annotations

import re

from llmtop.formats.console import plain
from llmtop.formats.numbers import NUMBER, number

STEP = re.compile(r"step\s{1,8}(\d{1,12})(?:/(\d{1,12}))?(?: \(\d[\d.]{0,8}%\))?\s?(?=\|)")
"""The step, and how many there will be where the tool says so."""
_AFTER = re.compile(rf"({NUMBER})(%?) ?([A-Za-z][\w/ -]{{0,40}})")
_BEFORE = re.compile(rf"([A-Za-z][\w /-]{{0,40}}?)[: ] {{0,8}}({NUMBER})(?![\w.])")


def fields(text: str) -> dict[str, float]:
    """Return the numbers between the bars of `text`.

    Of "epoch: 1 pq: 0" and "loss 3.1 (+0.2z)" the first counts; "45.3% bf16 MFU" is "bf16 MFU".
    """
    values: dict[str, float] = {}
    for part in text.split("|"):
        part = part.strip()
        name, colon, value = part.partition(": ")
        read = number(value.strip().removesuffix("ms")) if colon else None
        if read is not None:
            values[name] = read
        elif part[:1].isalpha():
            if (before := _BEFORE.match(part)) is not None:
                values[before.group(1)] = plain(before.group(2))
        elif (after := _AFTER.fullmatch(part)) is not None:
            values[after.group(3)] = plain(after.group(1))
    return values
