"""Questions to NVML, each guarded on its own: no answer is an answer, and is not asked for twice.

The binding (`pynvml`) raises a class of its own for each error code; codes are compared by number,
because older bindings lack the names of newer codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmtop.sources.gpu import DriverLostError, Notice

SUCCESS, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION = 0, 1, 2, 3, 4
NOT_FOUND, DRIVER_NOT_LOADED, TIMEOUT, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND = 6, 9, 10, 12, 13
GPU_IS_LOST, RESET_REQUIRED, VERSION_MISMATCH, NO_DATA = 15, 16, 18, 21
ARGUMENT_VERSION, DEPRECATED, NOT_READY = 25, 26, 27

NEVER_AGAIN = frozenset({
    INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND, ARGUMENT_VERSION,
    DEPRECATED,
})  # fmt: skip
"""This device, this driver or this user will not be answered, however often it is asked."""
NOTHING_NOW = frozenset({SUCCESS, NOT_FOUND, TIMEOUT, NO_DATA, NOT_READY})
"""There is nothing of the kind at the moment; the binding raises "success" for an empty list."""
DRIVER_GONE = frozenset({UNINITIALIZED, DRIVER_NOT_LOADED, VERSION_MISMATCH})
DEVICE_GONE = {
    GPU_IS_LOST: "lost: it has fallen off the bus or is powered down",
    RESET_REQUIRED: "waiting for a reset",
}
MAX_COMPLAINTS = 64
"""Kinds of failure told in all; by then the first have said what is wrong."""


class DeviceLostError(Exception):
    """The device answers nothing any more; the text says what is the matter."""


def code_of(error: Exception) -> int | None:
    """Return the NVML code of an exception, None if it is not NVML's."""
    value = getattr(error, "value", None)
    return value if isinstance(value, int) and type(error).__name__.startswith("NVML") else None


class Asker:
    """Asks about one device, and remembers which questions are in vain."""

    def __init__(self, nvml: Any, name: str, complaints: dict[str, Notice]) -> None:
        """Ask through the module `nvml`; what fails oddly goes into `complaints`, once a kind."""
        self.name, self._nvml, self._complaints = name, nvml, complaints
        self._vain: dict[object, int | None] = {}

    def ask(
        self, function: str, handle: object, *rest: object, kind: object = None,
        done: object = None,
    ) -> Any:  # fmt: skip
        """Return the answer, None if there is none.

        Args:
            function: of the binding.
            handle: its first argument.
            *rest: the others.
            kind: what is not asked again once it was refused; function and rest where None.
            done: what to return when it was done and there is nothing to answer.

        Raises:
            DeviceLostError: the device is gone.
            DriverLostError: the driver is.
        """
        question = (function, *rest) if kind is None else kind
        if question in self._vain:
            return None
        try:
            answer = getattr(self._nvml, function)(handle, *rest)
        except Exception as error:  # the binding raises its own, ctypes' and UnicodeDecodeError
            code = code_of(error)
            if code in DRIVER_GONE:
                raise DriverLostError(str(error)) from None
            if code in DEVICE_GONE:
                raise DeviceLostError(DEVICE_GONE[code]) from None
            if code is None or code in NEVER_AGAIN:
                self._vain[question] = code
            if code == NO_PERMISSION or (code not in NEVER_AGAIN and code not in NOTHING_NOW):
                self._complain(function, error)
            return None
        return done if answer is None else answer

    def refused(self, function: str, *rest: object) -> int | None:
        """Return the code with which a question was refused for good, None if it was not."""
        return self._vain.get((function, *rest))

    def number(
        self, function: str, handle: object, *rest: object, scale: float = 1.0
    ) -> float | None:
        """Return the answer as a number times `scale`, None if there is none."""
        found = self.ask(function, handle, *rest)
        return float(found) * scale if isinstance(found, (int, float)) else None

    def _complain(self, function: str, error: Exception) -> None:
        words = function.removeprefix("nvml").removeprefix("Device").removeprefix("Get")
        text = f"{self.name}: {words}: {error or type(error).__name__}"
        if len(self._complaints) < MAX_COMPLAINTS:
            self._complaints.setdefault(text, Notice("info", text))


def quietly(call: Callable[[], object]) -> None:
    """Do something on the way out, whatever it says."""
    try:
        call()
    except Exception:  # nothing can be done about it, and nothing depends on it
        return
