"""A program in a pseudo-terminal of which only the bytes are looked at."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping

from tests.pty.harness import Program


def environment(env: Mapping[str, str]) -> dict[str, str | None]:
    """Return `env` for a Program, which lays it over its own: what it lacks is removed there."""
    return {**dict.fromkeys(os.environ), **env}


class Bytes(Program):
    """Reads what a program sends without understanding it, which would cost the measured core."""

    def pump(self, seconds: float = 0.0) -> bool:
        """Take in what comes within `seconds`; return whether anything did."""
        ready, _, _ = select.select((self.fd,), (), (), seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.raw += data
        return bool(data)

    def pump_for(self, seconds: float) -> bytes:
        """Take in what comes within `seconds`; return it."""
        before, deadline = len(self.raw), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.pump(left)
        return bytes(self.raw[before:])

    def seconds_until(self, text: bytes, began: float, limit: float = 20.0) -> float:
        """Return the seconds from `began` (perf_counter) until `text` was sent."""
        while text not in self.raw:
            self.pump(0.01)
            if time.perf_counter() - began > limit:
                raise TimeoutError(f"{text!r} never came")
        return time.perf_counter() - began
