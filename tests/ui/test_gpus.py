"""The GPUs screen: every number of devices, every size, and what is honest about each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import T0, World, training
from test_panels import check, text
from test_ui_keys import running

from llmtop.rules.forecast import forecast, words
from llmtop.rules.machine import devices as devices_of
from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo
from llmtop.store import Store
from llmtop.ui.panels import device_rows, devices, history, host, process_list
from llmtop.ui.panels.base import Scene, Size
from llmtop.ui.panels.frame import is_boxed
from llmtop.ui.rows import plain, width
from llmtop.ui.screens import gpus

GIB = 1 << 30
HISTORY = 300


def machine(world: World, count: int, *, activity: bool = True, **about: object) -> str:
    """Add a machine with `count` devices, the sixth of them hot."""
    facts = [
        {"key": f"gpu{i}", "name": "NVIDIA H100 80GB HBM3", "state": "ok",
         "memory_total": 80 * GIB, "power_limit": 700.0, "pstate": "P0",
         "throttle": ["thermal (hardware)"] if i == 5 else ["power cap"]}
        for i in range(count)
    ]  # fmt: skip
    tags: dict[str, object] = {
        "devices": facts, "core_count": 64, "memory_total": 512 * GIB, "swap_total": 0,
        "cores": [10 * (i % 10) for i in range(64)], "disks": [
            {"path": "/data", "total": 100 * GIB, "used": 97 * GIB, "free": 3 * GIB}],
        "processes": [
            {"pid": 4123, "here": True, "name": "python", "command": "python train.py",
             "user": "ada", "cpu": 1.2, "rss": 8 * GIB, "tree_rss": 20 * GIB, "pss": 12 * GIB,
             "shared": GIB, "count": 9, "members": [4123, 4124], "files": 80,
             "gpus": {f"gpu{i}": {"memory": 70 * GIB, "utilization": 0.9}
                      for i in range(max(0, count - 1))}},
            *([{"pid": 99, "here": False, "gpus": {f"gpu{count - 1}": {
                "memory": GIB, "utilization": None}}}] if count else []),
        ], **about,
    }  # fmt: skip
    run = world.run("node-07", host="node-07", phase="host", source="hardware", tags=tags)
    times = T0 + np.arange(HISTORY, dtype=np.float64)
    world.clock.now = float(times[-1]) + 0.5
    none = np.full(HISTORY, -1)

    def log(name: str, values: np.ndarray, unit: str = "", kind: str = "gauge") -> None:
        world.log(run, name, values, steps=none, times=times, unit=unit, kind=kind)

    flat = np.ones(HISTORY)
    for i in range(count):
        log(f"gpu{i}/gpu_utilization", flat * (0.61 if i == 5 else 0.97), "fraction")
        if activity:
            log(f"gpu{i}/gpu_sm_activity", flat * 0.42, "fraction")
        log(f"gpu{i}/gpu_memory_used_bytes", flat * 71.2 * GIB, "bytes")
        log(f"gpu{i}/gpu_power_watts", flat * 612, "watts")
        log(f"gpu{i}/gpu_temperature_celsius", flat * (86 if i == 5 else 64), "celsius")
        log(f"gpu{i}/gpu_sm_clock_hz", flat * 1.755e9, "Hz")
    log("host_cpu_utilization", flat * 0.35, "fraction")
    log("host_memory_used_bytes", flat * 100 * GIB, "bytes")
    log("host_io_pressure", flat * 0.3, "fraction")
    return run


def on_screen(world: World) -> Scene:
    return world.scene(screen="gpus")


@pytest.mark.parametrize("count", [1, 2, 8, 16])
def test_devices_of_any_number(count: int) -> None:
    world = World()
    training(world, steps=20)
    machine(world, count)
    scene = on_screen(world)
    check(f"gpus-{count}", devices.frame(scene, Size(160, 20)))
    for cells in (3, 20, 40, 60, 80, 99, 100, 200):
        rows = devices.frame(scene, Size(cells, 12))
        assert len(rows) == 12
        assert all(width(row) <= cells for row in rows)


def test_eight_devices_on_a_small_terminal_have_a_line_each() -> None:
    world = World()
    machine(world, 8)
    check("gpus-8-80", devices.frame(on_screen(world), Size(80, 11)))
    (strip,) = devices.strip_frame(on_screen(world), Size(80, 1))
    assert width(strip) <= 80
    assert "92%" in text([strip]), "the mean of seven at 97 and one at 61"
    assert "86°" in text([strip])


def test_numbers_that_have_not_come_lately_are_missing() -> None:
    world = World()
    machine(world, 2)
    world.clock.advance(60)
    got = text(devices.frame(on_screen(world), Size(120, 9)))
    assert "--" in got
    assert "97%" not in got
    assert "612" not in got


def test_a_lost_device_is_told_and_shows_no_number() -> None:
    world = World()
    machine(world, 1, devices=[{"key": "gpu0", "name": "NVIDIA L4", "state": "lost: gone"}])
    got = text(devices.frame(on_screen(world), Size(100, 8)))
    assert "▲ L4  lost: gone" in got
    assert "97%" not in got


def test_who_uses_a_device_is_the_run_of_its_process() -> None:
    world = World()
    training(world, "gpt-small", steps=20)
    machine(world, 2)
    scene = on_screen(world)
    assert "gpt-small" in text(devices.frame(scene, Size(140, 9)))
    check("processes", process_list.frame(scene, Size(120, 8)))
    assert "another container" in text(process_list.frame(scene, Size(120, 8)))
    for cells in range(4, 200, 7):
        assert all(width(row) <= cells for row in process_list.frame(scene, Size(cells, 8)))


def test_the_energy_of_the_run_stands_in_the_title() -> None:
    world = World()
    training(world, "gpt-small", steps=20)
    machine(world, 8)
    for name, value in (("energy_joules", 4.8e6), ("energy_seen", 0.5)):
        world.log("gpt-small", name, np.array([value]), steps=np.array([-1]),
                  times=np.array([T0]), kind="counter" if name == "energy_joules" else "gauge")
    scene = on_screen(world)
    assert scene.run is not None
    assert "kWh" not in text(devices.frame(scene, Size(160, 11))), "logged, not counted"
    for series in scene.run.series:
        series.derived = True
    for cells in (80, 160):
        (title, *_) = devices.frame(scene, Size(cells, 11))
        assert width(title) <= cells
        assert "gpt-small 1.33 kWh, 50% seen   8 " in plain([title])
        assert "4.9 kW" in plain([title])


def test_the_second_line_leaves_out_whole_words_and_what_is_wrong_last() -> None:
    world = World()
    machine(world, 1, devices=[{
        "key": "gpu0", "name": "NVIDIA H100", "memory_total": 80 * GIB,
        "throttle": ["thermal (hardware)"], "remap": "pending", "pstate": "P2"}])
    scene = on_screen(world)
    whole = plain([device_rows.states_row(scene.devices[0], scene.now, 120)]).split(" · ")
    for cells in range(30, 120):
        row = device_rows.states_row(scene.devices[0], scene.now, cells)
        parts = plain([row]).split(" · ")
        assert width(row) <= cells
        assert parts == [part for part in whole if part in parts]
        assert "thermal (hardware)" in parts[0]


def test_all_parts_stand_in_the_third_line_of_a_small_terminal() -> None:
    world = World()
    run = machine(world, 1)
    for part in ("sm_activity", "sm_occupancy", "tensor_activity", "dram_activity"):
        world.log(run, f"gpu0/gpu_{part}", np.array([1.0]), unit="fraction",
                  steps=np.array([-1]), times=np.array([T0 + HISTORY]))
    scene = on_screen(world)
    row = plain([device_rows.activity_row(scene.devices[0], scene, 76)])
    assert len(row) <= 76
    assert row.count("100%") == 4


def test_three_and_four_devices_stand_whole_in_a_charts_title() -> None:
    for count in (3, 4):
        world = World()
        machine(world, count)
        for spec in history.DEVICE_SPECS:
            head = text(history.frame(spec, on_screen(world), Size(40, 10))[:1])
            assert "…" not in head
            assert head.count("●") == count


@pytest.mark.parametrize("order", [(0.5, 60.0), (60.0, 0.5)])
def test_the_unit_behind_the_last_value_is_that_of_all(order: tuple[float, float]) -> None:
    world = World()
    run = machine(world, 2)
    for at, gib in enumerate(order):
        world.log(run, f"gpu{at}/gpu_memory_used_bytes", np.array([gib * GIB]), unit="bytes",
                  steps=np.array([-1]), times=np.array([T0 + HISTORY]))
    (head, *_) = history.frame(history.DEVICE_SPECS[0], on_screen(world), Size(60, 10))
    assert f"0 {order[0]:.1f}  ● 1 {order[1]:.1f} GiB" in plain([head])


def test_the_axis_of_no_traffic_has_no_parts_of_a_byte() -> None:
    world = World()
    run = machine(world, 1)
    n = 60
    for name in ("host_network_received_bytes", "host_network_sent_bytes"):
        world.log(run, name, np.zeros(n), steps=np.full(n, -1), kind="counter",
                  times=T0 + np.arange(n, dtype=np.float64), unit="bytes")
    spec = next(spec for spec in history.HOST_SPECS if spec.key == "host-network")
    got = text(history.frame(spec, on_screen(world), Size(40, 10)))
    assert "0.5 B" not in got
    assert "1.0K" in got


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
def test_charts_one_above_the_other_are_framed_alike(count: int) -> None:
    world = World()
    machine(world, count)
    placed = [p.box for p in gpus.place(on_screen(world), (160, 42))
              if p.key.startswith(("gpu-", "host-"))]
    assert len({is_boxed(Size(box.width, box.height)) for box in placed}) == 1


def test_memory_in_use_by_nobody_who_can_be_seen_is_said() -> None:
    world = World()
    machine(world, 1, processes=[])
    assert "shows no process here" in text(process_list.frame(on_screen(world), Size(120, 8)))


def test_the_host() -> None:
    world = World()
    machine(world, 0, no_gpus="no NVIDIA driver on this machine: libnvidia-ml.so.1 not found")
    scene = on_screen(world)
    check("host", host.frame(scene, Size(70, 11)))
    assert "libnvidia-ml.so.1 not found" in text(devices.frame(scene, Size(100, 3)))


def test_a_history_draws_a_line_a_device_or_the_spread_of_many() -> None:
    for count in (2, 8):
        world = World()
        machine(world, count)
        for spec in (*history.DEVICE_SPECS, *history.HOST_SPECS):
            rows = history.frame(spec, on_screen(world), Size(60, 10))
            assert all(width(row) == 60 for row in rows)
    head = text(history.frame(history.DEVICE_SPECS[0], on_screen(world), Size(60, 10))[:1])
    assert "mean 71.2 GiB" in head
    power = text(history.frame(history.DEVICE_SPECS[2], on_screen(world), Size(60, 10)))
    assert "612 W" in power


def test_hardware_without_a_sensor_says_so() -> None:
    world = World()
    machine(world, 1)
    spec = replace(history.DEVICE_SPECS[3], metrics=("gpu_memory_temperature_celsius",))
    assert "not told by this hardware" in text(
        history.frame(spec, on_screen(world), Size(60, 10)))


@pytest.mark.parametrize("count", [0, 1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [(160, 42), (120, 37), (80, 21), (60, 12), (20, 5)])
def test_the_panels_fill_the_screen_and_never_overlap(count: int, size: tuple[int, int]) -> None:
    world = World()
    training(world, steps=20)
    machine(world, count)
    boxes = [p.box for p in gpus.place(on_screen(world), size)]
    cells = [(x, y) for b in boxes for x in range(b.x, b.x + b.width)
             for y in range(b.y, b.y + b.height)]
    assert len(cells) == len(set(cells))
    assert set(cells) == {(x, y) for x in range(size[0]) for y in range(size[1])}


def test_sixteen_devices_all_stand_on_a_small_terminal() -> None:
    world = World()
    machine(world, 16)
    (box,) = (p.box for p in gpus.place(on_screen(world), (80, 21)) if p.key == "gpus")
    got = text(devices.frame(on_screen(world), Size(box.width, box.height)))
    assert [line.split()[1] for line in got.splitlines() if "612" in line] == [
        str(number) for number in range(16)]


def test_machines_are_not_among_the_runs() -> None:
    world = World()
    training(world, steps=20)
    machine(world, 8)
    assert world.scene().run is not None
    assert world.scene().run.name == "gpt-small"  # type: ignore[union-attr]
    only = World()
    machine(only, 8)
    assert only.scene().run is None


async def test_key_4_shows_it_and_the_cursor_is_a_time() -> None:
    world = World()
    training(world, steps=200)
    machine(world, 4)
    async with running(world) as (app, press, _):
        await press("4")
        assert app.view.screen == "gpus"
        assert {"gpus", "processes", "host", "gpu-memory"} <= set(app._board.panels)
        assert "loss" in app._board.panels, "the run that uses the devices is drawn beside them"
        await press("c")
        assert app.view.cursor == T0 + HISTORY - 1
        await press("plus")
        assert app.view.span is not None
        await press("1")
        assert app.view.cursor is None
        assert app.view.span is None
        assert "gpus" in app._board.panels, "the Overview has room for four devices"


def filling(gib_a_second: float, noise: float) -> Store:
    store, n = Store(memory_bytes=64 << 20), 1200
    rng = np.random.default_rng(3)
    used = (40 + gib_a_second * np.arange(n) + 6 * np.sin(np.arange(n) / 3)
            + rng.normal(0, noise, n)) * GIB  # fmt: skip
    store.apply(0, Batch(
        runs=(RunInfo("h", "h", phase="host", tags={
            "devices": [{"key": "gpu0", "memory_total": 80 * GIB}]}),),
        series=(SeriesInfo(0, "h", "gpu0/gpu_memory_used_bytes", unit="bytes"),),
        samples=Samples(np.zeros(n, np.uint32), T0 + np.arange(n, dtype=np.float64),
                        np.full(n, -1, np.int64), used)), T0)
    store.commit(T0 + n)
    return store


@pytest.mark.parametrize(("rate", "minutes"), [(0.005, 83.7), (0.01, 31.8)])
def test_a_leak_is_foreseen(rate: float, minutes: float) -> None:
    (device,) = devices_of(filling(rate, 0.5).runs[0])
    found = forecast(device.series["gpu_memory_used_bytes"], 80 * GIB)
    assert found is not None
    assert found.bytes_per_second == pytest.approx(rate * GIB, rel=0.1)
    left = (0.97 * 80 - (40 + rate * 1200 + 6.5)) / rate / 60
    assert found.seconds_to_full is not None
    assert found.seconds_to_full / 60 == pytest.approx(left, abs=3)
    assert words(found).startswith("about ")
    assert left == pytest.approx(minutes, abs=1)


def test_memory_that_goes_up_and_down_has_no_trend() -> None:
    (device,) = devices_of(filling(0.0, 0.5).runs[0])
    assert words(forecast(device.series["gpu_memory_used_bytes"], 80 * GIB)) == "no trend"


def test_too_short_a_past_says_nothing() -> None:
    world = World()
    run = world.run("h", phase="host")
    world.log(run, "gpu0/gpu_memory_used_bytes", np.arange(30.0),
              times=T0 + np.arange(30.0), steps=np.full(30, -1))
    (device,) = devices_of(world.store.runs[0])
    assert forecast(device.series["gpu_memory_used_bytes"], 100.0) is None
    assert words(None) == ""


def test_what_has_no_room_below_asks_for_a_taller_window() -> None:
    world = World()
    machine(world, 2)
    scene, size = on_screen(world), Size(80, 2)
    assert "1 more: make the window taller" in plain(process_list.frame(scene, size))
    assert "1 more: make the window taller" in plain(devices.frame(scene, size))
