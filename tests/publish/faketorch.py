"""What of torch a publisher touches, with a GPU whose copies arrive when a test says so."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

FLOAT32, FLOAT64, BFLOAT16 = "torch.float32", "torch.float64", "torch.bfloat16"


class Tensor:
    """A tensor of some values on some device."""

    def __init__(self, *values: float, device: str = "cpu", dtype: str = FLOAT32) -> None:
        self.values, self.dtype = values, dtype
        self.device = SimpleNamespace(type=device)
        self.is_cuda = device == "cuda"
        self.asked = 0
        """How often something waited for the GPU."""

    def numel(self) -> int:
        return len(self.values)

    def detach(self) -> Tensor:
        return self

    def reshape(self, shape: tuple[int, ...]) -> Tensor:
        assert shape == ()
        return self

    def item(self) -> float:
        self.asked += self.is_cuda
        return self.values[0]

    def __float__(self) -> float:
        return self.item()

    def __str__(self) -> str:
        self.asked += self.is_cuda
        return "tensor"

    def __int__(self) -> int:
        return int(self.item())


class Pinned:
    """Pinned host memory, seen as numbers of one width."""

    def __init__(self, torch: Torch, memory: Any, width: int, at: int = 0) -> None:
        self.torch, self.memory, self.width, self.at = torch, memory, width, at

    def view(self, dtype: str) -> Pinned:
        return Pinned(self.torch, self.memory, {FLOAT32: 4, FLOAT64: 8}[dtype])

    def data_ptr(self) -> int:
        return ctypes.addressof(self.memory)

    def __getitem__(self, index: int) -> Pinned:
        return Pinned(self.torch, self.memory, self.width, index)

    def copy_(self, source: Tensor, *, non_blocking: bool) -> None:
        assert non_blocking, "a copy must not wait for the GPU"
        if self.torch.failing:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        packed = struct.pack("<f" if self.width == 4 else "<d", source.values[0])

        def arrive() -> None:
            ctypes.memmove(self.data_ptr() + self.width * self.at, packed, self.width)

        self.torch.on_the_way.append(arrive)


class Torch:
    """The module: put it into sys.modules["torch"]."""

    Tensor, float32, float64, bfloat16 = Tensor, FLOAT32, FLOAT64, BFLOAT16

    def __init__(self, *, pinnable: bool = True) -> None:
        self.pinnable = pinnable
        self.capturing = self.failing = False
        self.pools = 0
        """How often pinned memory was asked for."""
        self.on_the_way: list[Callable[[], None]] = []
        self.cuda = SimpleNamespace(is_current_stream_capturing=lambda: self.capturing)
        self._inference = True

    @contextmanager
    def inference_mode(self, mode: bool) -> Iterator[None]:
        before, self._inference = self._inference, mode
        yield
        self._inference = before

    def empty(self, count: int, *, dtype: str, device: str, pin_memory: bool) -> Pinned:
        assert (dtype, device, pin_memory) == (FLOAT64, "cpu", True)
        assert not self._inference, "copies into an inference tensor fail outside of that mode"
        self.pools += 1
        if not self.pinnable:
            raise RuntimeError("CUDA error: out of memory")
        return Pinned(self, ctypes.create_string_buffer(8 * count), 8)

    def arrive(self, count: int = 1 << 62) -> None:
        """Let the oldest copies end."""
        while self.on_the_way and count:
            self.on_the_way.pop(0)()
            count -= 1


class DTensor(Tensor):
    """A subclass that cannot be read."""

    def numel(self) -> int:
        raise RuntimeError("not here")


SPECIAL = (0.0, -0.0, 1.5, -math.inf, math.nan, 1e-45, 3.4028234663852886e38)
"""Values that float32 has, so that they must arrive as they are."""
