"""Runs on another machine, over ssh: its publishers connect to a hub here through a tunnel."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

from llmtop.clock import Clock
from llmtop.errors import SourceError, UsageError
from llmtop.samples import Batch
from llmtop.sources.hub import Hub
from llmtop.sources.machine import Machine
from llmtop.sources.tunnel import Tunnel

SCHEME = "ssh://"
DESTINATION = re.compile(
    r"([^@\s/:-][^@\s/:]*@)?(\[[\w:%.]+\]|[^@\s/:\[\]-][^@\s/:\[\]]*)(:\d{1,5})?"
)
"""user@host:port, of which only the host is a must; nothing that ssh could take for an option."""


class Ssh(Hub):
    """Everything that runs of a user on another machine publish."""

    def __init__(self, text: str, *, clock: Clock, program: Sequence[str] = ("ssh",)) -> None:
        """Prepare to connect to "ssh://user@host:port"; the host may be one of ssh's config.

        Raises:
            UsageError: it is no such address.
        """
        destination = text.removeprefix(SCHEME).rstrip("/")
        if not DESTINATION.fullmatch(destination):
            raise UsageError(f"{text!r} is no address; write ssh://host or ssh://user@host:port")
        folder = Path(tempfile.mkdtemp(prefix="llmtop-ssh-", dir="/tmp"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(folder, clock=clock, source=destination)
        self.name = destination
        machine = folder / "machine.sock"
        self._tunnel = Tunnel(
            SCHEME + destination, str(self._new_path(folder)), str(machine), program
        )
        self.beside = (Machine(self._tunnel, machine, destination, clock),)
        """What is to be watched, too: the machine itself."""

    def connect(self) -> None:
        """Connect now, while ssh may still ask for a password on the terminal.

        Raises:
            SourceError: it could not connect, or the host does not forward.
        """
        self._tunnel.open(ask=True)

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what comes until `stop` is set.

        Raises:
            SourceError: the connection could not be made, or broke.
        """
        try:
            if not self._tunnel.alive:
                # There may be a screen by now, on which nothing can be asked.
                self._tunnel.open(ask=False)
            yield from super().batches(stop)
        finally:
            self._tunnel.close()

    def _check(self, path: Path | None) -> None:
        super()._check(path)
        if not self._tunnel.alive:
            raise SourceError(self._tunnel.reason())

    def _new_path(self, directory: Path) -> Path:
        """Return the path that ssh was told of."""
        return directory / "mon-hub.sock"
