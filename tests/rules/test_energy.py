"""The energy of a run: what its devices used while it was seen on them, and how much that misses.

The devices' series are fed as the hardware source does: increments of energy, or power alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from llmtop.rules.energy import Energy, energy_words
from llmtop.samples import NO_STEP, Batch, RunInfo, Samples, SeriesInfo
from llmtop.store import Run, Store

T0 = 1_750_000_000.0
On = Mapping[int, tuple[str, ...]]
"""Process -> the devices it is on."""
BOTH: On = {41: ("gpu0", "gpu1")}


class Machine:
    """A machine of two devices, and runs that begin on it at T0."""

    def __init__(self, *runs: RunInfo, counts: bool = True) -> None:
        self.store, self.energy, self.now = Store(memory_bytes=64 << 20), Energy(), T0
        self.metric = "gpu_energy_joules" if counts else "gpu_power_watts"
        self._apply(runs=runs, series=tuple(
            SeriesInfo(i, "h", f"gpu{i}/{self.metric}", "counter" if counts else "gauge")
            for i in range(2)), on={})  # fmt: skip

    def _apply(self, on: On, **fields: object) -> None:
        rows = [{"pid": pid, "members": [pid], "gpus": {key: {} for key in keys}}
                for pid, keys in on.items()]
        host = RunInfo("h", "box", host="box", phase="host", started=T0, tags={"processes": rows})
        fields["runs"] = (host, *fields.pop("runs", ()))  # type: ignore[misc]
        self.store.apply(0, Batch(alive=("h", "r", "s"), **fields), self.now)  # type: ignore[arg-type]
        self.energy.derive(self.store, self.store.commit(self.now), self.now)

    def sweep(self, on: On, *values: float, seconds: float = 1.0) -> None:
        self.now += seconds
        n = len(values)
        self._apply(on, samples=Samples(
            np.arange(n, dtype=np.uint32), np.full(n, self.now), np.full(n, NO_STEP),
            np.array(values)))

    def run(self, name: str = "run") -> Run:
        return next(run for run in self.store.runs if run.name == name)


def one_run(key: str = "r", name: str = "run", pid: int = 41, **more: object) -> RunInfo:
    return RunInfo(key, name, host="box", pid=pid, started=T0, **more)  # type: ignore[arg-type]


def joules(run: Run) -> float:
    return sum(one.sum for one in run.find("energy_joules"))


def seen(run: Run) -> float:
    (series,) = run.find("energy_seen")
    assert series.last is not None
    return series.last.value


@pytest.mark.parametrize("counts", [True, False])
def test_a_runs_energy_is_that_of_its_devices(counts: bool) -> None:
    machine = Machine(one_run(), counts=counts)
    for _ in range(400):
        machine.sweep(BOTH, 600.0, 400.0)
    run = machine.run()
    # The first sweep says where the devices stand, the second that the run is on them.
    assert joules(run) == pytest.approx(1000 * 398)
    assert seen(run) == pytest.approx(398 / 400)
    assert energy_words(run) == "111 Wh"
    assert all(one.derived for name in ("energy_joules", "energy_seen") for one in run.find(name))


def test_what_was_used_before_it_was_seen_is_not_its_own() -> None:
    machine = Machine(one_run())
    for _ in range(50):
        machine.sweep({}, 600.0, 600.0)
    assert energy_words(machine.run()) == ""
    for _ in range(51):
        machine.sweep(BOTH, 600.0, 600.0)
    assert joules(machine.run()) == 1200 * 50
    assert seen(machine.run()) == pytest.approx(50 / 101)
    assert energy_words(machine.run()) == "16.7 Wh, 50% seen"


def test_devices_of_other_machines_are_missed_and_that_is_said() -> None:
    machine = Machine(one_run(world_size=8))
    for _ in range(200):
        machine.sweep(BOTH, 600.0, 600.0)
    assert energy_words(machine.run()).endswith(", 25% seen")


def test_a_device_that_two_runs_share_is_neithers() -> None:
    machine = Machine(one_run(), one_run("s", "other", 42))
    for _ in range(12):
        machine.sweep({41: ("gpu0", "gpu1"), 42: ("gpu1",)}, 600.0, 400.0)
    assert joules(machine.run()) == 600 * 10
    assert seen(machine.run()) == pytest.approx(10 / 24)
    assert machine.run("other").find("energy_joules") == []


def test_a_hole_in_the_power_is_not_filled_but_one_in_the_counter_is_none() -> None:
    for counts, wanted in ((False, 2 * 600.0), (True, 3 * 600.0)):
        machine = Machine(one_run(), counts=counts)
        for seconds in (1.0, 1.0, 1.0, 60.0, 1.0):
            machine.sweep({41: ("gpu0",)}, 600.0, seconds=seconds)
        assert joules(machine.run()) == pytest.approx(wanted), "nothing of the first two sweeps"


def test_a_run_that_is_gone_uses_nothing_more() -> None:
    machine = Machine(one_run())
    for on in (BOTH, BOTH, BOTH, {}, {}, {41: ("gpu0",)}):
        machine.sweep(on, 600.0, 400.0)
    assert joules(machine.run()) == 1000


def test_a_run_that_logs_its_energy_itself_is_believed() -> None:
    machine = Machine(one_run())
    machine.sweep({}, 0.0, 0.0)
    machine.store.apply(0, Batch(series=(SeriesInfo(9, "r", "energy_joules", "counter"),)), T0)
    for _ in range(5):
        machine.sweep(BOTH, 600.0, 400.0)
    assert energy_words(machine.run()) == ""
    assert not any(one.derived for one in machine.run().find("energy_joules"))
