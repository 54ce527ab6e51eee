"""Percentiles from a page's buckets are those that Prometheus itself works out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pages import Watch, histogram

pytestmark = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool of Debian's package prometheus is not here"
)
QS = (0.01, 0.5, 0.9, 0.95, 0.99, 1.0)
CASES = 40
NAME = "vllm:time_to_first_token_seconds"


def random_case(rng: np.random.Generator) -> tuple[list[str], list[int], list[int]]:
    """Return bounds, and the observations in each bucket before and since."""
    upper = np.unique(rng.lognormal(-2, 2, rng.integers(2, 24)).round(4))
    bounds = [*map(str, upper[upper > 0].tolist()), "+Inf"]
    shape = rng.random(len(bounds)) * (rng.random(len(bounds)) < 0.7)
    before, since = (rng.poisson(shape * rng.choice([3.0, 400.0])).tolist() for _ in range(2))
    since[rng.integers(len(bounds))] += 1
    return bounds, before, since


def test_quantiles_are_those_of_promql(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    series, wanted = [], []
    for case in range(CASES):
        bounds, before, since = random_case(rng)
        both = [a + b for a, b in zip(before, since, strict=True)]
        watch = Watch()
        watch.page(histogram(NAME, before, 0.0, bounds=bounds))
        watch.page(histogram(NAME, both, 1.0, bounds=bounds))
        ours = watch.series("ttft_seconds").quantiles(QS).values.tolist()
        for bound, old, new in zip(bounds, np.cumsum(before), np.cumsum(both), strict=True):
            series.append({"series": f'h{case}_bucket{{le="{bound}"}}', "values": f"{old} {new}"})
        for q, value in zip(QS, ours, strict=True):
            theirs = f"histogram_quantile({q}, h{case}_bucket - h{case}_bucket offset 1m)"
            near = f"abs({theirs} - {value!r}) <= bool {value * 1e-9!r}"
            # Where both say the same there is nothing left to print.
            wanted.append({"expr": f"({near}) == 0 or absent({theirs})", "eval_time": "1m",
                           "exp_samples": []})
    # What is JSON is YAML.
    (tmp_path / "it.yml").write_text(json.dumps({
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": wanted}],
    }), encoding="utf-8")  # fmt: skip
    done = subprocess.run(["promtool", "test", "rules", "it.yml"], cwd=tmp_path, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
