"""What is logged in other units is shown and judged in the vocabulary's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmtop.quantities import convert


@pytest.mark.parametrize(("name", "unit", "factor", "shown"), [
    ("step_time", "ms", 1e-3, "seconds"),
    ("step_time", "seconds", 1.0, "seconds"),
    ("memory_allocated_bytes", "GiB", 2.0**30, "bytes"),
    ("mfu", "percent", 0.01, "fraction"),
    ("kv_cache_usage", "fraction", 1.0, "fraction"),
    ("of_my_own", "ms", 1e-3, "seconds"),
    ("of_my_own", "furlongs", 1.0, "furlongs"),
    ("loss", "", 1.0, ""),
])  # fmt: skip
def test_units(name: str, unit: str, factor: float, shown: str) -> None:
    assert convert(name, unit) == (factor, shown)


def test_json_tells_values_and_unit_as_logged(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(
        f"iter {i}: loss 10.0{i}, time 263.8{i}ms, mfu 9.31%\n" for i in range(8)))
    environment = {**os.environ, "LLMTOP_DIR": str(tmp_path)}
    told, shown = (
        subprocess.run([sys.executable, "-m", "llmtop", way, str(log)], env=environment,
                       capture_output=True, text=True, timeout=60, check=True).stdout
        for way in ("--json", "--once")
    )  # fmt: skip
    series = {one["name"]: one for one in json.loads(told)["runs"][0]["series"]}
    time = next(one for one in series.values() if one["unit"] == "ms")
    assert time["last"][2] == 263.87
    assert "264 ms" in shown
    assert "9.31 %" in shown
