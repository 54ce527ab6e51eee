"""The GPU source against a scripted NVML: every number, and every way it can fail."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from itertools import islice

import pynvml
import pytest
from fakenvml import GIB, Gpu, ScriptedNvml

from llmtop.clock import ManualClock
from llmtop.rules.alerts import Alerts
from llmtop.rules.load import built_in
from llmtop.samples import Batch, RunInfo
from llmtop.sources import nvml as nvml_module
from llmtop.sources.gpu import DriverLostError, NoGpusError
from llmtop.sources.hardware import Hardware
from llmtop.sources.nvml import NO_LIBRARY, Nvml
from llmtop.store import Store


def opened(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu, **about: object) -> tuple[
    Nvml, ScriptedNvml
]:
    fake = ScriptedNvml([*gpus], **about)  # type: ignore[arg-type]
    for index, gpu in enumerate(gpus):
        gpu.index = index
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    backend = Nvml()
    backend.open()
    return backend, fake


def test_every_field_in_the_vocabularys_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(throttle=0x4 | 0x40, ecc=(3, 1), rows=(1, 2, 1, 0))
    backend, _ = opened(monkeypatch, gpu)
    (reading,) = backend.read(slow=True)
    assert reading.gauges == pytest.approx({
        "gpu_utilization": 0.97, "gpu_memory_busy": 0.61,
        "gpu_memory_used_bytes": 71 * GIB, "gpu_power_watts": 612.0,
        "gpu_temperature_celsius": 64.0, "gpu_memory_temperature_celsius": 72.0,
        "gpu_sm_clock_hz": 1.755e9, "gpu_memory_clock_hz": 2.619e9, "gpu_fan_speed": 0.0,
        "gpu_pcie_sent_bytes_per_second": 1_000_000 * 1024,
        "gpu_pcie_received_bytes_per_second": 2_000_000 * 1024, "gpu_remapped_rows": 3.0,
        "gpu_last_xid": 0.0,
    })  # fmt: skip
    assert reading.totals["gpu_energy_joules"] == 1000.0
    assert reading.totals["gpu_ecc_corrected_errors"] == 3.0
    assert reading.totals["gpu_ecc_uncorrected_errors"] == 1.0
    facts = reading.facts
    assert facts["name"] == "NVIDIA H100 80GB HBM3"
    assert (facts["memory_total"], facts["memory_reserved"]) == (80 * GIB, GIB // 2)
    assert facts["throttle"] == ["power cap", "thermal (hardware)"]
    assert (facts["pstate"], facts["power_limit"]) == ("P0", 700.0)
    assert (facts["pcie_generation"], facts["pcie_width"]) == (5, 16)
    assert facts["remap"] == "pending"
    assert facts["state"] == "ok"


def test_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml([Gpu()]))
    assert Nvml().open() == {"driver": "550.54.15", "cuda": "12.4"}


def test_what_is_not_supported_is_missing_and_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetFanSpeed",
               "nvmlDeviceGetUtilizationRates")
    gpu = Gpu(fails=dict.fromkeys(refused, pynvml.NVML_ERROR_NOT_SUPPORTED))
    backend, fake = opened(monkeypatch, gpu)
    for _ in range(4):
        (reading,) = backend.read(slow=True)
    assert "gpu_power_watts" not in reading.gauges
    assert "gpu_utilization" not in reading.gauges
    assert reading.gauges["gpu_temperature_celsius"] == 64.0
    assert all(fake.calls[name] == 1 for name in refused)
    assert backend.notices() == []


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_IRQ_ISSUE])
def test_a_call_that_fails_oddly_is_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    gpu = Gpu(fails={"nvmlDeviceGetPowerUsage": code})
    backend, fake = opened(monkeypatch, gpu)
    for _ in range(3):
        assert "gpu_power_watts" not in backend.read(slow=False)[0].gauges
    (notice,) = backend.notices()
    assert notice.text.startswith("gpu0: PowerUsage: ")
    assert fake.calls["nvmlDeviceGetPowerUsage"] == 3
    gpu.fails.clear()
    assert backend.read(slow=False)[0].gauges["gpu_power_watts"] == 612.0
    assert backend.notices() == []


def test_what_this_user_may_not_ask_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(processes=[(7, GIB)], fails={
        "nvmlDeviceGetProcessUtilization": pynvml.NVML_ERROR_NO_PERMISSION})
    backend, fake = opened(monkeypatch, gpu)
    for _ in range(3):
        (reading,) = backend.read(slow=True)
    assert reading.processes[0].utilization is None
    assert [n.text for n in backend.notices()] == [
        "gpu0: ProcessUtilization: Insufficient Permissions"]
    assert fake.calls["nvmlDeviceGetProcessUtilization"] == 1


def test_an_old_binding_lacks_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = frozenset({"nvmlGpmQueryDeviceSupport", "nvmlDeviceGetTemperatureV",
                       "nvmlDeviceGetCurrentClocksEventReasons", "nvmlEventSetCreate"})
    backend, _ = opened(monkeypatch, Gpu(), lacks=lacks)
    (reading,) = backend.read(slow=True)
    assert reading.gauges["gpu_temperature_celsius"] == 64.0
    assert reading.facts["throttle"] == []


def test_an_old_driver_without_the_second_memory_structure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, fake = opened(monkeypatch, Gpu())
    first = type(fake)._nvmlDeviceGetMemoryInfo

    def old(self: ScriptedNvml, gpu: Gpu, version: int = 0) -> object:
        if version:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return first(self, gpu)

    monkeypatch.setattr(ScriptedNvml, "_nvmlDeviceGetMemoryInfo", old)
    (reading,) = backend.read(slow=False)
    assert reading.gauges["gpu_memory_used_bytes"] == 71 * GIB
    assert "memory_reserved" not in reading.facts
    assert not reading.facts.get("unified")


def test_activity_beside_utilization_where_there_is_gpm(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(gpm={2: 41.5, 5: 30.0, 10: 55.0, 20: 100.0, 21: 200.0, 60: 3.0, 61: 4.0})
    backend, fake = opened(monkeypatch, gpu)
    assert "gpu_sm_activity" not in backend.read(slow=True)[0].gauges, "one sample says nothing"
    found = backend.read(slow=True)[0].gauges
    assert found["gpu_sm_activity"] == pytest.approx(0.415)
    assert found["gpu_tensor_activity"] == pytest.approx(0.3)
    assert found["gpu_pcie_received_bytes_per_second"] == 200 * (1 << 20)
    assert found["gpu_nvlink_sent_bytes_per_second"] == 4 * (1 << 20)
    assert "gpu_sm_occupancy" not in found
    assert fake.calls.get("nvmlDeviceGetPcieThroughput", 0) == 2, "the first sweep only"


def test_a_lost_device_keeps_its_name_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = Gpu()
    backend, _ = opened(monkeypatch, Gpu(), lost)
    backend.read(slow=True)
    lost.fails["*"] = pynvml.NVML_ERROR_GPU_IS_LOST
    for _ in range(3):
        first, second = backend.read(slow=True)
    assert first.gauges["gpu_utilization"] == 0.97
    assert second.gauges == {"gpu_last_xid": 0.0}
    assert second.facts["name"] == "NVIDIA H100 80GB HBM3"
    assert str(second.facts["state"]).startswith("lost")
    assert [n.level for n in backend.notices()] == ["critical"]
    lost.fails.clear()
    backend.read(slow=True)
    assert backend.read(slow=False)[1].gauges["gpu_utilization"] == 0.97
    assert [n.text for n in backend.notices()] == ["gpu1 answers again"]


def test_a_device_lost_before_we_came(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = opened(monkeypatch, Gpu(fails={"*": pynvml.NVML_ERROR_RESET_REQUIRED}), Gpu())
    first, second = backend.read(slow=True)
    assert first.facts["state"] == "waiting for a reset"
    assert second.facts["state"] == "ok"


def test_xid_events_in_words_and_by_gravity(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, fake = opened(monkeypatch, Gpu(), Gpu())
    fake.xids += [(1, 79), (0, 31), (0, 63), (1, 1234)]
    backend.read(slow=False)
    assert [(n.level, n.text) for n in backend.notices()] == [
        ("critical", "gpu1: XID 79, the GPU has fallen off the bus"),
        ("info", "gpu0: XID 31, memory page fault"),
        ("warning", "gpu0: XID 63, row remapping recorded"),
        ("critical", "gpu1: XID 1234"),
    ]


def last_xids(backend: Nvml, sweeps: int) -> list[list[float]]:
    return [[one.gauges["gpu_last_xid"] for one in backend.read(slow=False)]
            for _ in range(sweeps)]


def test_each_xid_is_a_change_of_the_gauge(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, fake = opened(monkeypatch, Gpu(), Gpu())
    fake.xids += [(0, 31), (0, 79), (0, 31), (1, 63)]
    assert last_xids(backend, 4) == [[0, 0], [31, 63], [79, 63], [79, 63]], "0 comes first"
    fake.xids += [(0, 79), (1, 63)]
    assert last_xids(backend, 3) == [[0, 0], [79, 63], [79, 63]], "the same one again"


def test_a_device_that_is_lost_still_tells_its_xid(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, fake = opened(monkeypatch, gpu := Gpu())
    assert last_xids(backend, 1) == [[0]]
    fake.xids.append((0, 79))
    gpu.fails["*"] = pynvml.NVML_ERROR_GPU_IS_LOST
    assert last_xids(backend, 1) == [[79]]
    with pytest.raises(DriverLostError):
        backend.read(slow=False)


@pytest.mark.parametrize(("code", "heard"), [
    (pynvml.NVML_ERROR_GPU_IS_LOST, True),
    (pynvml.NVML_ERROR_RESET_REQUIRED, True),
    (pynvml.NVML_ERROR_UNKNOWN, False),
])  # fmt: skip
def test_a_lost_device_silences_no_other_ones_xids(
    monkeypatch: pytest.MonkeyPatch, code: int, heard: bool
) -> None:
    backend, fake = opened(monkeypatch, Gpu(index=0), Gpu(index=1))
    assert last_xids(backend, 1) == [[0, 0]]
    fake.gpus[0].fails["*"] = pynvml.NVML_ERROR_GPU_IS_LOST
    fake.event_errors.append(code)
    backend.read(slow=False)
    fake.xids.append((1, 63))
    (_, other) = backend.read(slow=False)
    assert other.gauges.get("gpu_last_xid") == (63 if heard else None)
    told = [notice.text for notice in backend.notices() if "XID" in notice.text]
    assert told == (["gpu1: XID 63, row remapping recorded"] if heard else [])


@pytest.mark.parametrize("how", [
    {"lacks": frozenset({"nvmlEventSetCreate"})},
    {"fails": {"nvmlDeviceRegisterEvents": pynvml.NVML_ERROR_NOT_SUPPORTED}},
    {"fails": {"nvmlDeviceRegisterEvents": pynvml.NVML_ERROR_UNKNOWN}},
])  # fmt: skip
def test_a_device_whose_xids_are_not_told_claims_none(
    monkeypatch: pytest.MonkeyPatch, how: dict[str, object]
) -> None:
    gpu = Gpu(fails=how.get("fails", {}))  # type: ignore[arg-type]
    backend, _ = opened(monkeypatch, gpu, lacks=how.get("lacks", frozenset()))
    assert "gpu_last_xid" not in backend.read(slow=True)[0].gauges


def test_the_graded_rules_judge_nvmls_xids(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Gpu(), Gpu())
    trial, states = Alerts(built_in()), dict[str, str]()
    store = Store(memory_bytes=64 << 20)
    for sweep in range(6):
        if sweep == 2:
            steps.fake.xids += [(0, 31), (0, 79), (1, 63)]
        store.apply(0, steps.next()[2], steps.clock.time())
        for alert in trial.judge(store, store.commit(steps.clock.time()), steps.clock.time()):
            states[f"{alert.device} {alert.rule}"] = f"{alert.severity} {alert.state}"
    assert {key: state for key, state in states.items() if "xid" in key} == {
        "gpu0 xid": "critical firing", "gpu0 xid_application": "info firing",
        "gpu1 xid_memory": "warning firing",
    }


def test_mig_parts_are_devices_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = dict.fromkeys(("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPowerUsage"),
                            pynvml.NVML_ERROR_NOT_SUPPORTED)
    part = Gpu(name="NVIDIA H100 MIG 3g.40gb", total=40 * GIB, used=GIB, instance=2,
               processes=[(77, GIB)], fails=dict(refused), gpm={2: 80.0})
    whole = Gpu(parts={1: part}, processes=[(77, GIB)], gpm={},
                fails={"nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_NOT_SUPPORTED})
    backend, _ = opened(monkeypatch, whole)
    backend.read(slow=True)
    over, inside = backend.read(slow=False)
    assert (over.key, inside.key) == ("gpu0", "gpu0/mig1")
    assert over.facts["mig"] == 1
    assert over.processes == [], "told with the part"
    assert [p.pid for p in inside.processes] == [77]
    assert inside.gauges == {"gpu_memory_used_bytes": GIB, "gpu_sm_activity": 0.8}
    whole.parts.clear()
    backend.read(slow=True)
    assert [r.key for r in backend.read(slow=False)] == ["gpu0"]


def test_processes_of_both_kinds_with_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(processes=[(10, 5 * GIB), (11, None)], graphics=[(10, GIB), (12, GIB)],
              busy=[(10, 100, 40), (10, 200, 80), (11, 150, 5), (12, 10, 4_000_000)])
    backend, _ = opened(monkeypatch, gpu)
    found = {p.pid: p for p in backend.read(slow=True)[0].processes}
    assert (found[10].memory_bytes, found[10].utilization) == (5 * GIB, 0.8)
    assert (found[11].memory_bytes, found[11].utilization) == (None, 0.05)
    assert found[12].utilization is None
    again = {p.pid: p.utilization for p in backend.read(slow=True)[0].processes}
    assert again[10] == 0.8, "holds while the driver has nothing newer"
    for _ in range(6):
        again = {p.pid: p.utilization for p in backend.read(slow=True)[0].processes}
    assert again[10] is None
    gpu.processes = []
    assert 10 in {p.pid for p in backend.read(slow=False)[0].processes}, "read with the table"


@pytest.mark.parametrize(("code", "words"), [
    (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, NO_LIBRARY),
    (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "kernel module is not loaded"),
    (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "a reboot is due"),
    (pynvml.NVML_ERROR_NO_PERMISSION, "no permission"),
    (pynvml.NVML_ERROR_UNKNOWN, "NVIDIA driver: "),
])  # fmt: skip
def test_why_there_is_no_driver(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml([], init_error=code))
    with pytest.raises(NoGpusError, match=words):
        Nvml().open()


def test_a_driver_without_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml([]))
    with pytest.raises(NoGpusError, match="no GPU"):
        Nvml().open()


def test_without_the_library_the_binding_is_not_even_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setattr(nvml_module, "LIBRARY", "libnvidia-ml-that-is-not-here.so.1")
    with pytest.raises(NoGpusError, match="not found"):
        Nvml().open()
    assert "pynvml" not in sys.modules


def test_a_driver_taken_away_is_said_and_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, fake = opened(monkeypatch, Gpu())
    fake.gone = pynvml.NVML_ERROR_UNINITIALIZED
    with pytest.raises(DriverLostError):
        backend.read(slow=False)
    backend.close()
    fake.gone = 0
    backend.open()
    assert backend.read(slow=False)[0].gauges["gpu_utilization"] == 0.97
    assert fake.inits == 2


class Steps:
    """A source's batches, a second of the clock apart; nothing waits for the wall."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *gpus: Gpu, **about: object) -> None:
        self.fake = ScriptedNvml([*gpus], **about)  # type: ignore[arg-type]
        for index, gpu in enumerate(gpus):
            gpu.index = index
        monkeypatch.setitem(sys.modules, "pynvml", self.fake)
        self.clock = ManualClock()
        self.stop = threading.Event()
        monkeypatch.setattr(self.stop, "wait", self._pass)
        self.batches: Iterator[Batch] = iter(Hardware(self.clock).batches(self.stop))
        self.names: dict[int, str] = {}
        assert next(self.batches) == Batch()

    def _pass(self, seconds: float) -> bool:
        self.clock.advance(max(seconds, 0.001))
        return False

    def next(self) -> tuple[RunInfo, dict[str, float], Batch]:
        batch = next(self.batches)
        self.names.update({info.key: info.name for info in batch.series})
        assert batch.samples is not None
        values = {self.names[int(k)]: float(v)
                  for k, v in zip(batch.samples.series, batch.samples.value, strict=True)}
        return batch.runs[0], values, batch


def test_the_machine_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Gpu(), Gpu(gpu=12))
    run, values, first = steps.next()
    assert (run.phase, run.source) == ("host", "hardware")
    assert values["gpu1/gpu_utilization"] == 0.12
    assert not first.caught_up
    assert "gpu0/gpu_energy_joules" not in values, "nothing is known to have been spent yet"
    assert first.alive == (run.key,)
    steps.fake.gpus[0].energy += 612_000
    run, values, second = steps.next()
    assert second.caught_up
    assert values["gpu0/gpu_energy_joules"] == 612.0
    assert not {i.name for i in second.series} & {i.name for i in first.series}
    assert [d["name"] for d in run.tags["devices"]] == ["NVIDIA H100 80GB HBM3"] * 2  # type: ignore[attr-defined]
    assert run.tags["drivers"] == {"nvidia": {"driver": "550.54.15", "cuda": "12.4"}}
    assert run.tags["no_gpus"] == ""


def test_energy_that_begins_anew_is_never_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Gpu(energy=5_000_000))
    steps.next()
    steps.fake.gpus[0].energy = 3000
    assert steps.next()[1]["gpu0/gpu_energy_joules"] == 3.0


def test_nvlink_of_devices_without_gpm_is_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Gpu())
    steps.next()
    before = steps.clock.time()
    steps.fake.gpus[0].nvlink = (1000, 500)
    sent = steps.next()[1]["gpu0/gpu_nvlink_sent_bytes_per_second"]
    assert sent == pytest.approx(1000 * 1024 / (steps.clock.time() - before), rel=0.01)


def test_unified_memory_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    gb10 = Gpu(name="NVIDIA GB10", processes=[(os.getpid(), 3 * GIB), (2**22 + 5, GIB)],
               fails={"nvmlDeviceGetMemoryInfo": pynvml.NVML_ERROR_NOT_SUPPORTED})
    steps = Steps(monkeypatch, gb10)
    run, values, _ = steps.next()
    (device,) = run.tags["devices"]  # type: ignore[misc]
    assert device["unified"] is True
    assert device["memory_total"] == run.tags["memory_total"]
    assert values["gpu0/gpu_memory_used_bytes"] == 4 * GIB
    gb10.processes = [(7, None)]
    assert "gpu0/gpu_memory_used_bytes" not in steps.next()[1]


def test_processes_are_told_with_command_and_owner_and_strangers_as_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, stranger = os.getpid(), 2**22 + 99
    steps = Steps(monkeypatch, Gpu(processes=[(mine, 5 * GIB), (stranger, GIB)]))
    rows = {row["pid"]: row for row in steps.next()[0].tags["processes"]}  # type: ignore[attr-defined]
    assert rows[mine]["gpus"] == {"gpu0": {"memory": 5 * GIB, "utilization": None}}
    assert "python" in rows[mine]["command"] or "pytest" in rows[mine]["command"]
    assert rows[mine]["rss"] > 1 << 20
    assert rows[stranger]["here"] is False


def test_without_a_driver_the_host_is_told_and_nobody_asks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps(monkeypatch, init_error=pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    for _ in range(12):
        run, values, batch = steps.next()
    assert run.tags["no_gpus"] == NO_LIBRARY
    assert values["host_memory_used_bytes"] > 0
    assert batch.events == ()
    assert steps.fake.calls["nvmlInit"] == 1


def test_a_reload_of_the_driver_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Gpu())
    steps.next()
    steps.fake.gone = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    steps.fake.init_error = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    for _ in range(12):
        run, values, _ = steps.next()
    assert "gpu0/gpu_utilization" not in values
    assert "reboot" in str(run.tags["no_gpus"])
    steps.fake.gone = steps.fake.init_error = 0
    for _ in range(6):
        run, values, _ = steps.next()
    assert values["gpu0/gpu_utilization"] == 0.97
    assert run.tags["no_gpus"] == ""


def test_the_end_of_the_source_shuts_nvml_down(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch, Gpu(gpm={2: 1.0}))
    list(islice(steps.batches, 3))
    steps.stop.set()
    list(steps.batches)
    assert steps.fake.shutdowns == 1
