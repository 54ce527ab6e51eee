"""The backend of NVIDIA's GPUs: NVML through pynvml, initialised once, and again if it was lost."""

from __future__ import annotations

import ctypes
import sys
from functools import partial
from typing import Any

from llmtop.sources.gpu import DriverLostError, NoGpusError, Notice, Reading
from llmtop.sources.nvml_asking import (
    DEVICE_GONE,
    DRIVER_NOT_LOADED,
    LIBRARY_NOT_FOUND,
    NO_PERMISSION,
    TIMEOUT,
    VERSION_MISMATCH,
    Asker,
    DeviceLostError,
    code_of,
    quietly,
)
from llmtop.sources.nvml_device import Device
from llmtop.sources.nvml_words import xid_level, xid_text
from llmtop.sources.nvml_xid import LastXid

LIBRARY = "libnvidia-ml.so.1"
NO_LIBRARY = f"no NVIDIA driver on this machine: {LIBRARY} not found"
WHY = {
    LIBRARY_NOT_FOUND: NO_LIBRARY,
    DRIVER_NOT_LOADED: "no NVIDIA driver on this machine: its kernel module is not loaded",
    VERSION_MISMATCH: "NVIDIA driver and library differ in version: the driver was updated, "
    "a reboot is due",
    NO_PERMISSION: "no permission to ask the NVIDIA driver",
}
"""Code of nvmlInit -> what the screen says."""
MAX_DEVICES = 64
MAX_PARTS = 16
"""MIG parts of a device: NVML makes seven."""
MAX_EVENTS = 32
"""XID events taken in one sweep; the rest waits for the next."""
XID_EVENT = 0x8


class Nvml:
    """Every NVIDIA device of the machine."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._devices: list[Device] = []
        self._parts: dict[str, Device] = {}
        self._events: Any = None
        self._xids: dict[str, LastXid] = {}
        """Of the devices whose events are told, also after NVML was opened again."""
        self._complaints: dict[str, Notice] = {}
        self._told: set[str] = set()
        self._lost: dict[str, str] = {}
        self._fresh: list[Notice] = []

    def open(self) -> dict[str, object]:
        """Initialise NVML and find the devices; return driver and CUDA version.

        Raises:
            NoGpusError: there is no driver, or no device.
        """
        nvml = self._nvml = _binding()
        try:
            nvml.nvmlInit()
        except Exception as error:  # NVML's own, or ctypes'
            raise NoGpusError(WHY.get(code_of(error) or 0, f"NVIDIA driver: {error}")) from None
        count = min(int(_plain(nvml.nvmlDeviceGetCount) or 0), MAX_DEVICES)
        try:
            self._devices = [self._device(index) for index in range(count)]
            self._listen()
        except DriverLostError as error:
            self.close()
            raise NoGpusError(f"NVIDIA driver: {error}") from None
        if not self._devices:
            self.close()
            raise NoGpusError("the NVIDIA driver knows no GPU here")
        driver = _plain(nvml.nvmlSystemGetDriverVersion)
        version = _plain(nvml.nvmlSystemGetCudaDriverVersion)
        cuda = f"{version // 1000}.{version % 1000 // 10}" if isinstance(version, int) else ""
        return {"driver": driver if isinstance(driver, str) else "", "cuda": cuda}

    def read(self, slow: bool) -> list[Reading]:
        """Ask every device and every MIG part.

        Raises:
            DriverLostError: NVML has to be opened again.
        """
        self._take_events()
        waits = any(heard.waiting for heard in self._xids.values())
        found: list[Reading] = []
        for device in self._devices:
            reading = device.read(slow)
            self._note(device)
            if slow and not device.lost:
                self._find_parts(device)
            parts = [part for key, part in self._parts.items() if key.startswith(device.key + "/")]
            if parts:
                reading.facts["mig"], reading.processes = len(parts), []
            heard = self._xids.get(device.key)
            if heard is not None and (heard.waiting or self._events is not None):
                reading.gauges["gpu_last_xid"] = float(heard.show())
            found += [reading, *(part.read(slow) for part in parts if not device.lost)]
        if found and not waits and all(device.lost for device in self._devices):
            # A reload of the driver looks like the loss of every device. What they said last,
            # an XID most likely, is told first.
            raise DriverLostError(self._devices[0].lost)
        return found

    def notices(self) -> list[Notice]:
        """Return what happened since the last call."""
        out = self._fresh + [n for text, n in self._complaints.items() if text not in self._told]
        self._told.update(self._complaints)
        self._fresh = []
        return out

    def close(self) -> None:
        """Shut NVML down."""
        for device in (*self._devices, *self._parts.values()):
            device.close()
        if self._events is not None:
            quietly(lambda: self._nvml.nvmlEventSetFree(self._events))
        if self._nvml is not None:
            quietly(self._nvml.nvmlShutdown)
        self._devices, self._parts, self._events = [], {}, None

    def _device(self, index: int) -> Device:
        asker = Asker(self._nvml, f"gpu{index}", self._complaints)
        return Device(self._nvml, lambda: asker.ask("nvmlDeviceGetHandleByIndex", index), asker)

    def _note(self, device: Device) -> None:
        """Say that a device is lost, or is back: once, also if NVML was opened again between."""
        told = self._lost.pop(device.key, "")
        if device.lost:
            self._lost[device.key] = device.lost
        if device.lost and not told:
            self._fresh.append(Notice("critical", f"{device.key} is {device.lost}"))
        elif told and not device.lost:
            self._fresh.append(Notice("info", f"{device.key} answers again"))

    def _find_parts(self, device: Device) -> None:
        """Bring the MIG parts of a device up to date."""
        try:
            mode = device.asker.ask("nvmlDeviceGetMigMode", device.handle)
            wanted = self._part_handles(device) if mode and mode[0] == 1 else {}
        except DeviceLostError:
            return
        for key in [key for key in self._parts if key.startswith(device.key + "/")]:
            if key not in wanted:
                self._parts.pop(key).close()
        for key, (handle, instance) in wanted.items():
            if key in self._parts:
                self._parts[key].handle = handle
                continue
            asker = Asker(self._nvml, key, self._complaints)
            self._parts[key] = Device(
                self._nvml, partial(_same, handle), asker, (device.handle, instance)
            )

    def _part_handles(self, device: Device) -> dict[str, tuple[object, int]]:
        ask = device.asker.ask
        most = ask("nvmlDeviceGetMaxMigDeviceCount", device.handle) or 0
        found: dict[str, tuple[object, int]] = {}
        for index in range(min(int(most), MAX_PARTS)):
            handle = ask("nvmlDeviceGetMigDeviceHandleByIndex", device.handle, index, kind="mig")
            if handle is None:
                continue
            instance = ask("nvmlDeviceGetGpuInstanceId", handle, kind="instance")
            found[f"{device.key}/mig{index}"] = handle, int(instance or 0)
        return found

    def _listen(self) -> None:
        """Ask to be told of XID events, where the driver tells them to this user."""
        try:
            self._events = self._nvml.nvmlEventSetCreate()
        except Exception:  # none are told then
            return
        for device in self._devices:
            if not device.lost and device.asker.ask(
                "nvmlDeviceRegisterEvents", device.handle, XID_EVENT, self._events,
                kind="events", done=True,
            ):  # fmt: skip
                self._xids.setdefault(device.key, LastXid())

    def _take_events(self) -> None:
        for _ in range(MAX_EVENTS if self._events is not None else 0):
            try:
                event = self._nvml.nvmlEventSetWait(self._events, 0)
            except Exception as error:  # a timeout is that there is none
                # One lost device does not silence the others.
                if code_of(error) not in (TIMEOUT, *DEVICE_GONE):
                    quietly(lambda: self._nvml.nvmlEventSetFree(self._events))
                    self._events = None
                return
            if event.eventType != XID_EVENT:
                continue
            address = _address(event.device)
            name = next((one.key for one in self._devices if _address(one.handle) == address),
                        "a gpu")
            number = int(event.eventData)
            if name in self._xids:
                self._xids[name].hear(number)
            self._fresh.append(Notice(xid_level(number), xid_text(name, number)))


def _binding() -> Any:
    """Return the module pynvml, without importing its 8000 lines where there is no driver.

    Raises:
        NoGpusError: there is none, or the library it needs is missing.
    """
    if "pynvml" not in sys.modules and sys.platform.startswith("linux"):
        try:
            ctypes.CDLL(LIBRARY)
        except OSError:
            raise NoGpusError(NO_LIBRARY) from None
    try:
        import pynvml
    except ImportError as error:
        raise NoGpusError(f"nvidia-ml-py cannot be imported: {error}") from None
    return pynvml


def _address(handle: Any) -> int | None:
    """Return what tells devices apart without asking them: one that is lost answers nothing."""
    try:
        return ctypes.cast(handle, ctypes.c_void_p).value
    except ctypes.ArgumentError:
        return id(handle)


def _same(handle: object) -> object:
    return handle


def _plain(call: Any) -> Any:
    """Return what `call` answers, None if it raises."""
    try:
        found = call()
    except Exception:  # one question without an answer
        return None
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else found
