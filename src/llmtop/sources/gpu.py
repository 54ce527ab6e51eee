"""What a GPU backend is: one module a vendor, one line in `BACKENDS`.

The contract. A backend is used by one thread. `open` says what the driver is, or raises why there
is none; `read` asks every device once, each question guarded on its own, and returns what was
answered: a question that failed is missing from the reading, never 0. `DriverLostError` from `read`
means that all handles are worth nothing any more: it is closed and opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class NoGpusError(Exception):
    """There is nothing to read here; the text says why, in one line for the screen."""


class DriverLostError(Exception):
    """The driver was unloaded, updated or reset under us."""


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """One process on one device."""

    pid: int
    memory_bytes: int | None
    """None where the driver does not say."""
    utilization: float | None = None
    """Share of the device's time, 0..1."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a device."""

    level: str
    text: str


@dataclass(slots=True)
class Reading:
    """What one device answered."""

    key: str
    """"gpu0", or "gpu0/mig1" for a part of one; the first part of its series' names."""
    gauges: dict[str, float] = field(default_factory=dict)
    """Metric of the vocabulary -> value now."""
    totals: dict[str, float] = field(default_factory=dict)
    """Metric of kind counter -> what it has come to since some beginning of the driver's."""
    facts: dict[str, object] = field(default_factory=dict)
    """What the screen's table shows besides: names, limits, states; plain JSON values."""
    processes: list[GpuProcess] = field(default_factory=list)


class Backend(Protocol):
    """One vendor's way to its devices."""

    def open(self) -> dict[str, object]:
        """Connect, and return what is to be said of the driver.

        Raises:
            NoGpusError: there is no driver or no device.
        """
        ...

    def read(self, slow: bool) -> list[Reading]:
        """Ask every device; `slow` asks for what hardly ever changes, too.

        Raises:
            DriverLostError: open it again.
        """
        ...

    def notices(self) -> list[Notice]:
        """Return what happened since the last call, each thing once."""
        ...

    def close(self) -> None:
        """Let go of the driver; it never raises."""
        ...


def _nvidia() -> Backend:
    from llmtop.sources.nvml import Nvml

    return Nvml()


BACKENDS: dict[str, Callable[[], Backend]] = {"nvidia": _nvidia}
"""Vendor -> its backend; all that can be opened are read."""
