"""What a device can do at most: dense BF16 FLOP/s by its name, for model FLOPs utilization.

An unknown name has no peak, and a run on it no MFU: a guess would be a lie in every number.
"""

from __future__ import annotations

import re

TERA = 1e12
PEAKS: tuple[tuple[str, float], ...] = (
    ("GB300|GB200", 2500),
    ("B300|B200", 2250),
    ("H200", 989),
    ("H20", 148),
    ("H100 NVL", 835),
    ("H100 PCIe", 756),
    ("H100", 989),
    ("A100", 312),
    ("A6000", 154.85),
    ("L40S", 362),
    ("MI355X", 2500),
    ("MI325X|MI300X", 1300),
    ("MI250X", 191.5),
)
"""Whole words of a name, the first that is found counts -> TFLOP/s, as vendors state them without
sparsity."""
_KNOWN = [(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), peak * TERA) for words, peak in PEAKS]


def peak_flops(name: str) -> float | None:
    """Return the dense BF16 FLOP/s of a device, None where they are not known."""
    if "MIG" in name.split():
        return None
    return next((peak for pattern, peak in _KNOWN if pattern.search(name)), None)
