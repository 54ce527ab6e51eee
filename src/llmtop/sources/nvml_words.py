"""NVML's numbers in words: why clocks are held back, what an XID means, how grave it is."""

from __future__ import annotations

THROTTLE = {
    0x0004: "power cap",
    0x0008: "hardware slowdown",
    0x0010: "sync boost",
    0x0020: "thermal (software)",
    0x0040: "thermal (hardware)",
    0x0080: "power brake",
    0x0200: "board limit",
    0x0400: "reliability",
}
"""Bit of the clocks' event reasons -> word; idle and chosen clocks are no throttling."""
SEVERE_THROTTLE = frozenset(
    {"hardware slowdown", "thermal (software)", "thermal (hardware)", "power brake"}
)
"""Reasons that mean something is wrong; a power cap is how a GPU at work runs."""
XID = {
    13: "graphics engine exception",
    31: "memory page fault",
    43: "a process stopped answering",
    45: "a process was cleaned up",
    48: "double-bit ECC error",
    61: "internal microcontroller halt",
    62: "internal microcontroller halt",
    63: "row remapping recorded",
    64: "row remapping failed",
    68: "video processor exception",
    69: "graphics engine class error",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    92: "many single-bit ECC errors",
    94: "contained ECC error",
    95: "uncontained ECC error",
    109: "context switch timeout",
    119: "GSP RPC timeout",
    120: "GSP error",
}
XID_OF_PROGRAMS = frozenset({13, 31, 43, 45, 68, 109})
"""What a program on the GPU does to itself, as NVIDIA's device plugin for Kubernetes has it."""
XID_WARNINGS = frozenset({63, 92})
COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
VIRTUAL = {1: "passthrough", 2: "vGPU", 3: "vGPU host", 4: "vSGA host"}
"""How the device is virtualised; 0 is not at all."""


def throttle_words(reasons: int) -> list[str]:
    """Return why the clocks are held back, in words."""
    return [word for bit, word in THROTTLE.items() if reasons & bit]


def xid_level(number: int) -> str:
    """Return how grave an XID is: info, warning or critical."""
    if number in XID_OF_PROGRAMS:
        return "info"
    return "warning" if number in XID_WARNINGS else "critical"


def xid_text(device: str, number: int) -> str:
    """Return "gpu3: XID 79, the GPU has fallen off the bus"."""
    words = XID.get(number)
    return f"{device}: XID {number}" + (f", {words}" if words else "")
