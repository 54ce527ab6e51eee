"""One file a screen: `place(scene, size)` says which panels stand where.

A screen is a pure function from what is known to a list of placed panels; the board mounts,
moves and removes widgets to match. To add a screen: write `place`, name it in `PLACES` and in
the key table.
"""

from __future__ import annotations

from collections.abc import Callable

from llmtop.ui.board import Placed
from llmtop.ui.panels.base import Scene
from llmtop.ui.screens import alerts, gpus, log, overview, serve, train

Place = Callable[[Scene, tuple[int, int]], list[Placed]]

PLACES: dict[str, Place] = {
    "overview": overview.place, "train": train.place, "gpus": gpus.place, "log": log.place,
    "alerts": alerts.place,
    "serve": serve.place,
}  # fmt: skip
