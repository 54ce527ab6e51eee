"""CUDA scalars without synchronising: copied into pinned host memory, read once they arrive.

torch is found where the user has imported it, never imported, and only touched in the call of
the user's own thread: an event query from another one would break the capture of a CUDA graph.
The thread only reads host memory, and waits until the reserved pattern there has changed.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

SLOTS = 4096
"""CUDA scalars that may be on their way: 32 KiB; more than a GPU lets a launch queue hold."""
RESERVED = 0x7FF84C4C7FC04C4C
"""A NaN as float64, and in its lower half one as float32, that no arithmetic produces."""
RESERVED_LOW = RESERVED & 0xFFFFFFFF


class Unusable(Exception):  # noqa: N818 - the reason why a tensor cannot be logged, not an error
    """A tensor that cannot be logged; the text says why."""


class Slot:
    """One scalar on its way from the GPU."""

    __slots__ = ("_index", "_narrow", "_pool")

    def __init__(self, pool: Pool, index: int, narrow: bool) -> None:
        self._pool, self._index, self._narrow = pool, index, narrow

    def take(self) -> float | None:
        """Return the value and free the slot, or None while it has not arrived."""
        if self._narrow:
            if self._pool.narrow_bits[2 * self._index] == RESERVED_LOW:
                return None
            value = self._pool.narrow[2 * self._index]
        else:
            if self._pool.wide_bits[self._index] == RESERVED:
                return None
            value = self._pool.wide[self._index]
        self._pool.wide_bits[self._index] = RESERVED
        self._pool.free.append(self._index)
        return float(value)


class Pool:
    """Pinned host memory, seen by torch as tensors and by the thread as plain numbers."""

    def __init__(self, torch: Any) -> None:
        # What the thread may share with the GPU is needed only where there is one.
        import ctypes

        # In-place copies into an inference tensor fail outside of inference mode.
        with torch.inference_mode(False):
            self._wide = torch.empty(SLOTS, dtype=torch.float64, device="cpu", pin_memory=True)
            self._narrow = self._wide.view(torch.float32)
        address = self._wide.data_ptr()
        self.wide_bits = (ctypes.c_uint64 * SLOTS).from_address(address)
        self.wide = (ctypes.c_double * SLOTS).from_address(address)
        self.narrow_bits = (ctypes.c_uint32 * (2 * SLOTS)).from_address(address)
        self.narrow = (ctypes.c_float * (2 * SLOTS)).from_address(address)
        for index in range(SLOTS):
            self.wide_bits[index] = RESERVED
        self.free = deque(range(SLOTS))

    def copy(self, torch: Any, tensor: Any) -> Slot:
        """Start the copy of a one-element tensor; return where it will arrive."""
        try:
            index = self.free.popleft()
        except IndexError:
            raise Unusable(f"more than {SLOTS} CUDA values are on their way") from None
        narrow = tensor.dtype is torch.float32
        try:
            target = self._narrow[2 * index] if narrow else self._wide[index]
            target.copy_(tensor.detach().reshape(()), non_blocking=True)
        except Exception:  # CUDA may fail in any way.
            # The copy may have been started, so that the slot can never be trusted again.
            raise Unusable("a CUDA value could not be copied") from None
        return Slot(self, index, narrow)


_pool: Pool | None = None
_pool_failed = False


def forget() -> None:
    """Drop the memory of a parent process: CUDA does not survive a fork."""
    global _pool, _pool_failed
    _pool, _pool_failed = None, False


def torch_of(value: Any) -> Any:
    """Return the torch module if `value` is one of its tensors, else None."""
    torch = sys.modules.get("torch")
    tensor_class = getattr(torch, "Tensor", None)
    return torch if tensor_class is not None and isinstance(value, tensor_class) else None


def read(torch: Any, tensor: Any) -> float | Slot:
    """Return the number in a CPU tensor, or the slot where that of a CUDA tensor will arrive.

    Raises:
        Unusable: it has not one element, is elsewhere, or a graph is being captured.
    """
    if tensor.numel() != 1:
        raise Unusable("a tensor of more than one element is not a number; log its mean()")
    if tensor.is_cuda:
        return _start(torch, tensor)
    if tensor.device.type != "cpu":
        raise Unusable(f"a tensor on {tensor.device.type} would block; log its item()")
    return float(tensor.item())


def _start(torch: Any, tensor: Any) -> Slot:
    global _pool, _pool_failed
    if torch.cuda.is_current_stream_capturing():
        raise Unusable("a CUDA value logged while a graph is captured has no number yet")
    if _pool is None and not _pool_failed:
        _pool_failed = True
        _pool = Pool(torch)
        _pool_failed = False
    if _pool is None:
        raise Unusable("no pinned memory for CUDA values")
    return _pool.copy(torch, tensor)
