"""llama.cpp's server: the timings of a request when it ends, and of long ones on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import Item, LineFormat, Points
from llmtop.formats.console import Console, plain
from llmtop.formats.numbers import NUMBER

_EVAL = re.compile(
    rf"(?:^|[|:] )\s{{0,20}}(prompt eval|eval) time = {{1,12}}({NUMBER}) ms / {{1,8}}\d{{1,9}}"
    rf" (?:tokens|runs) {{1,4}}\( {{0,12}}{NUMBER} ms per token,"
    rf" {{1,12}}({NUMBER}) tokens per second\)"
)
_TOTAL = re.compile(rf"(?:^|[|:] )\s{{0,20}}total time = {{1,12}}({NUMBER}) ms")
_GENERATING = re.compile(
    rf"\| n_gen = {{1,12}}(\d{{1,12}}), tg = {{1,12}}({NUMBER}) t/s, tg_3s = {{1,12}}({NUMBER}) t/s"
)
_DRAFT = re.compile(
    rf"draft acceptance(?: rate)? = ({NUMBER}) \( *\d{{1,9}} accepted / *\d{{1,9}} generated\)"
    rf"(?:, mean len = {{1,12}}({NUMBER}))?"
)


class Llamacpp(Console):
    """Reads timings; older servers say the slot on a line of its own, newer ones on each."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        found = _EVAL.search(line)
        if found is not None:
            what, milliseconds, rate = found.groups()
            values = {f"{what}_ms": plain(milliseconds), f"{what}_tps": plain(rate)}
            return (Points(values),)
        found = _TOTAL.search(line)
        if found is not None:
            return (Points({"total_ms": plain(found.group(1))}),)
        found = _GENERATING.search(line)
        if found is not None:
            n_gen, mean, newest = map(plain, found.groups())
            return (Points({"n_gen": n_gen, "tg": mean, "tg_3s": newest}),)
        found = _DRAFT.search(line)
        if found is None:
            return None
        rate, length = found.groups()
        values = {"draft acceptance": plain(rate)}
        if length is not None:
            values["draft mean len"] = plain(length)
        return (Points(values),)


FORMATS = (
    LineFormat(
        name="llama.cpp",
        title="llama.cpp server",
        example=(
            "prompt eval time =     412.55 ms /   310 tokens (    1.33 ms per token,"
            "   751.42 tokens per second)\n"
            "       eval time =    2210.04 ms /    96 tokens (   23.02 ms per token,"
            "    43.44 tokens per second)\n"
            "      total time =    2622.59 ms /   406 tokens"
        ),
        marks=(" time = ", ", tg_3s = ", "draft acceptance"),
        reader=Llamacpp,
        units={
            "prompt eval_ms": "ms", "prompt eval_tps": "tokens/s", "eval_ms": "ms",
            "eval_tps": "tokens/s", "total_ms": "ms", "tg": "tokens/s", "tg_3s": "tokens/s",
            "draft acceptance": "fraction",
        },
        phase="serve",
    ),
)  # fmt: skip
