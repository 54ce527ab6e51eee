"""What is logged in other units is stored in the vocabulary's."""

from __future__ import annotations

import pytest

from llmtop.sources.quantities import convert


@pytest.mark.parametrize(("name", "unit", "factor", "stored"), [
    ("step_time", "ms", 1e-3, "seconds"),
    ("step_time", "seconds", 1.0, "seconds"),
    ("memory_allocated_bytes", "GiB", 2.0**30, "bytes"),
    ("mfu", "percent", 0.01, "fraction"),
    ("kv_cache_usage", "fraction", 1.0, "fraction"),
    ("of_my_own", "ms", 1e-3, "seconds"),
    ("of_my_own", "furlongs", 1.0, "furlongs"),
    ("loss", "", 1.0, ""),
])  # fmt: skip
def test_units(name: str, unit: str, factor: float, stored: str) -> None:
    assert convert(name, unit) == (factor, stored)
