"""The hardware of a machine whose runs come over ssh, where llmtop is installed there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from llmtop.clock import Clock
from llmtop.errors import SourceError
from llmtop.samples import Batch
from llmtop.sources.attach import Attach
from llmtop.sources.tunnel import Tunnel

LOOK_SECONDS = 0.1
"""Between two looks whether there is a llmtop at the other end."""


class Machine:
    """A viewer of the llmtop that a tunnel has started at its other end.

    What is wrong with the connection is for whoever keeps the tunnel to say.
    """

    def __init__(self, tunnel: Tunnel, socket: Path, host: str, clock: Clock) -> None:
        """Attach at `socket`, where the tunnel has it, to the machine called `host`."""
        self.name = f"machine {host}"
        self._tunnel = tunnel
        self._attach = Attach(f"ipc://{socket}", clock=clock, name=host)
        self.intake = self._attach.intake

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what comes until `stop` is set."""
        waited = False
        while not stop.is_set():
            there = self._tunnel.machine
            if there is False and not waited:
                waited = True
                yield Batch(caught_up=True)
            if there:
                with suppress(SourceError):
                    yield from self._attach.batches(stop)
            stop.wait(LOOK_SECONDS)
