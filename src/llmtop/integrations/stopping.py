"""Whether a run is to stop, agreed on by all ranks: one that stopped alone would hang the rest."""

from __future__ import annotations

import sys
from typing import Any

EVERY_STEPS = 10
"""Steps between two agreements of many ranks: each is a small all-reduce, and waits for the GPU."""


def ranks_agree(stop: bool, step: int, device: Any) -> bool:
    """Return whether any rank is to stop; every rank calls this at the same steps.

    Args:
        stop: Whether this one is.
        step: Of the loop, the same on all ranks.
        device: Where this rank's tensors live.
    """
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return stop
    if distributed.get_world_size() == 1:
        return stop
    if step % EVERY_STEPS:
        return False
    flag = sys.modules["torch"].tensor([int(stop)], device=device)
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag.item())
