"""What series are called on a page for Prometheus."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.metrics import METRICS
from llmtop.prometheus import OWN, RESERVED, device, expose
from llmtop.quantities import TO_BASE

NAME = re.compile(r"llmtop(_[a-z0-9]+)+")


@pytest.mark.parametrize(("name", "unit", "family", "factor"), [
    ("loss", "", "llmtop_loss", 1.0),
    ("train/loss", "", "llmtop_loss", 1.0),
    ("val/loss", "", "llmtop_eval_loss", 1.0),
    ("mfu", "percent", "llmtop_mfu_ratio", 0.01),
    ("acc", "", "llmtop_accuracy_ratio", 1.0),
    ("step_time", "ms", "llmtop_step_time_seconds", 1e-3),
    ("tps", "ktokens/s", "llmtop_tokens_per_second", 1e3),
    ("tokens_per_second_per_gpu", "", "llmtop_tokens_per_second_per_gpu", 1.0),
    ("tflops", "", "llmtop_flops_per_second", 1e12),
    ("gpu_sm_clock_hz", "", "llmtop_gpu_sm_clock_hertz", 1.0),
    ("prefix_cache_hits", "", "llmtop_prefix_cache_hits_tokens", 1.0),
    ("llmtop_dropped", "", "llmtop_dropped", 1.0),
    ("allreduce_ms", "ms", "llmtop_allreduce_seconds", 1e-3),
    ("busy_pct", "percent", "llmtop_busy_ratio", 0.01),
    ("buffer", "MiB", "llmtop_buffer_bytes", 2.0**20),
    ("train/aux.zLoss", "", "llmtop_train_aux_z_loss", 1.0),
    ("images", "img/s", "llmtop_images_img_per_second", 1.0),
    ("weights_sum", "", "llmtop_weights_value", 1.0),
    ("run/step", "", "llmtop_logged_run_step", 1.0),
    ("損失", "", "llmtop_unnamed", 1.0),
])  # fmt: skip
def test_names_and_units(name: str, unit: str, family: str, factor: float) -> None:
    found = expose(name, unit)
    assert found.family == family
    assert found.factor == pytest.approx(factor)
    assert not found.unit or family.endswith("_" + found.unit)


def test_the_vocabulary_has_a_name_for_each_and_none_of_llmtops_own() -> None:
    names = [expose(one.name, one.unit).family for one in METRICS]
    assert len(set(names)) == len(METRICS)
    assert not [name for name in names if name.removeprefix("llmtop_").startswith(OWN)]


@given(st.text(max_size=60), st.sampled_from(["", "percent", "TFLOP/s", "x/s", "%", *TO_BASE]))
def test_whatever_is_logged_has_a_good_name(name: str, unit: str) -> None:
    found = expose(name, unit)
    assert NAME.fullmatch(found.family)
    assert not RESERVED.search(found.family)
    assert not found.unit or found.family.endswith("_" + found.unit)
    assert found.factor > 0


@pytest.mark.parametrize(("name", "labels", "rest"), [
    ("gpu0/gpu_utilization", {"gpu": "0"}, "gpu_utilization"),
    ("gpu12/mig3/memory", {"gpu": "12", "mig": "3"}, "memory"),
    ("gpu/loss", {}, "gpu/loss"), ("loss", {}, "loss"), ("gpu0", {}, "gpu0"),
])  # fmt: skip
def test_devices_are_labels(name: str, labels: dict[str, str], rest: str) -> None:
    assert device(name) == (labels, rest)
