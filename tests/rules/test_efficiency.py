"""MFU, tokens a GPU and joules a token: right numbers, and none where too little is known."""

from __future__ import annotations

import numpy as np
import pytest

from llmtop.rules.efficiency import Efficiency, flops_per_token
from llmtop.rules.peak import peak_flops
from llmtop.samples import NO_STEP, Batch, RunInfo, Samples, SeriesInfo
from llmtop.store import Run, Store

T0 = 1_750_000_000.0
TERA = 1e12


@pytest.mark.parametrize(("name", "teraflops"), [
    ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA H100 NVL", 835),
    ("NVIDIA H200", 989), ("NVIDIA H20", 148), ("nvidia l40s", 362), ("NVIDIA L40S", 362),
    ("NVIDIA A100-SXM4-40GB", 312), ("NVIDIA GB200", 2500), ("NVIDIA B200", 2250),
    ("NVIDIA RTX A6000", 154.85), ("AMD Instinct MI300X", 1300),
])  # fmt: skip
def test_known_peaks(name: str, teraflops: float) -> None:
    assert peak_flops(name) == teraflops * TERA


@pytest.mark.parametrize("name", [
    "", "NVIDIA A1000", "NVIDIA L40", "NVIDIA GH200 480GB", "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
])  # fmt: skip
def test_unknown_peaks_are_none(name: str) -> None:
    assert peak_flops(name) is None


def test_flops_a_token() -> None:
    assert flops_per_token({"flops_per_token": 8e9, "n_params": 1}) == 8e9
    assert flops_per_token({"n_params": 1_000_000_000}) == 6e9
    for tags in ({}, {"n_params": 0}, {"n_params": True}, {"n_params": "7B"},
                 {"n_params": float("nan")}, {"n_params": 1e9, "precision": "FP8"},
                 {"n_params": 1e9, "config": {"dtype": "mxfp8"}}):
        assert flops_per_token(tags) is None, tags


class Watched:
    """A run of two processes on a machine of two devices, ten points logged after both are seen."""

    def __init__(self, *, name: str = "NVIDIA H100 80GB HBM3", pid: int = 41,
                 world_size: int | None = None, **tags: object) -> None:
        self.store, self.derived, self.now = Store(memory_bytes=64 << 20), Efficiency(), T0
        facts = [{"key": f"gpu{i}", "name": name} for i in range(2)]
        rows = [{"pid": 41, "members": [41], "gpus": {"gpu0": {}, "gpu1": {}}}]
        self._apply(
            runs=(RunInfo("h", "box", host="box", phase="host", started=T0,
                          tags={"devices": facts, "processes": rows}),
                  RunInfo("r", "run", host="box", pid=pid, started=T0, world_size=world_size,
                          tags=tags)),
            series=(SeriesInfo(0, "h", "gpu0/gpu_power_watts"),
                    SeriesInfo(1, "h", "gpu1/gpu_power_watts"),
                    SeriesInfo(2, "r", "tokens_per_second")),
            alive=("h", "r"),
        )  # fmt: skip

    def _apply(self, **fields: object) -> None:
        self.store.apply(0, Batch(**fields), self.now)  # type: ignore[arg-type]
        changed = self.store.commit(self.now)
        self.derived.derive(self.store, changed, self.now)

    def log(self, tokens: float, watts: float = 600.0, points: int = 10) -> Run:
        for step in range(points):
            self.now += 1
            self._apply(alive=("h", "r"), samples=Samples(
                np.array([0, 1, 2], np.uint32), np.full(3, self.now),
                np.array([NO_STEP, NO_STEP, step]), np.array([watts, watts, tokens])))
        return self.store.runs[1]


def last(run: Run, name: str) -> float | None:
    found = run.find(name)
    return found[0].last.value if found and found[0].last else None


def test_a_runs_efficiency() -> None:
    run = Watched(n_params=7_000_000_000).log(20_000.0)
    assert last(run, "mfu") == pytest.approx(42e9 * 20_000 / (2 * 989e12))
    assert last(run, "tokens_per_second_per_gpu") == 10_000
    assert last(run, "joules_per_token") == pytest.approx(1200 / 20_000)
    assert all(one.derived for one in run.find("mfu"))


def test_a_run_over_several_machines_counts_all_ranks_and_tells_no_energy() -> None:
    run = Watched(n_params=1_000_000_000, world_size=16).log(16_000.0)
    assert last(run, "tokens_per_second_per_gpu") == 1000
    assert last(run, "mfu") == pytest.approx(6e9 * 16_000 / (16 * 989e12))
    assert last(run, "joules_per_token") is None


def test_without_its_processes_on_a_device_nothing_is_said() -> None:
    run = Watched(pid=77, n_params=1_000_000_000).log(1000.0)
    for name in ("mfu", "tokens_per_second_per_gpu", "joules_per_token"):
        assert run.find(name) == []


def test_an_unknown_device_has_no_mfu_unless_its_peak_is_told() -> None:
    assert last(Watched(name="NVIDIA X1", n_params=10**9).log(1000.0), "mfu") is None
    run = Watched(name="NVIDIA X1", n_params=10**9, peak_flops_per_gpu=1e14).log(1000.0)
    assert last(run, "mfu") == pytest.approx(6e12 / 2e14)


def test_no_tokens_cost_no_number() -> None:
    run = Watched().log(0.0)
    value = last(run, "joules_per_token")
    assert value is not None
    assert np.isnan(value)


def test_history_that_comes_late_is_not_ascribed_to_the_devices() -> None:
    watched = Watched(n_params=10**9)
    run = watched.log(1000.0)
    before = run.find("mfu")[0].n
    old = Samples(np.array([2], np.uint32), np.array([T0 - 3600]), np.array([3]),
                  np.array([5000.0]))
    watched._apply(alive=("h", "r"), samples=old)
    assert run.find("mfu")[0].n == before
