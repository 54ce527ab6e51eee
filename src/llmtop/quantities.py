"""Units as logged -> the vocabulary's, so that what is shown and judged can be compared.

A step time logged in ms and one in seconds are the same quantity. The store holds values as they
were logged; whoever shows or judges them multiplies by the factor given here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from llmtop import metrics

TO_BASE: Mapping[str, tuple[float, str]] = {
    "s": (1.0, "seconds"), "sec": (1.0, "seconds"), "ms": (1e-3, "seconds"),
    "us": (1e-6, "seconds"), "µs": (1e-6, "seconds"), "ns": (1e-9, "seconds"),
    "minutes": (60.0, "seconds"), "min": (60.0, "seconds"), "hours": (3600.0, "seconds"),
    "B": (1.0, "bytes"), "kB": (1e3, "bytes"), "MB": (1e6, "bytes"), "GB": (1e9, "bytes"),
    "TB": (1e12, "bytes"), "KiB": (2.0**10, "bytes"), "MiB": (2.0**20, "bytes"),
    "GiB": (2.0**30, "bytes"), "TiB": (2.0**40, "bytes"),
    "ktokens/s": (1e3, "tokens/s"), "GFLOP/s": (1e-3, "TFLOP/s"),
}  # fmt: skip
"""Unit as logged -> factor and the unit it leads to."""


@lru_cache(maxsize=1 << 16)
def convert(name: str, unit: str) -> tuple[float, str]:
    """Return the factor that brings a logged value into the unit it is shown in, and that unit.

    Args:
        name: the metric's name as logged.
        unit: what the format says its values are in, "" where it says nothing.
    """
    known = metrics.find(name)
    factor, base = TO_BASE.get(unit, (1.0, unit))
    if known is None or base in ("", known.unit):
        return factor, base
    if {base, known.unit} <= {"percent", "fraction", "ratio"}:
        if base == "percent":
            return 0.01, known.unit
        return (100.0 if known.unit == "percent" else 1.0), known.unit
    return factor, base
