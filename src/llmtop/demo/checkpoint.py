"""Checkpoints: parameters in a file that appears all at once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from llmtop.demo.model import Parameters

PATTERN = "step-*.npz"
KEPT = 2
"""Checkpoints kept: the newest, and the one that may be being read."""


def save(directory: Path, step: int, parameters: Parameters) -> Path:
    """Write parameters as of `step`, drop what is too old, and return the new file."""
    path = directory / f"step-{step:08d}.npz"
    unfinished = path.with_suffix(".partial")
    with unfinished.open("wb") as file:
        np.savez(file, allow_pickle=False, **parameters)
    os.replace(unfinished, path)
    for old in sorted(directory.glob(PATTERN))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def newest(directory: Path) -> Path | None:
    """Return the newest checkpoint, None as long as there is none."""
    return max(directory.glob(PATTERN), default=None)


def step_of(path: Path) -> int:
    """Return the step a checkpoint was written after."""
    return int(path.stem.partition("-")[2])


def load(path: Path) -> Parameters:
    """Return the parameters of a checkpoint."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
