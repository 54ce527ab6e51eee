"""A program of the user's, run for each alert with the alert as JSON on its stdin. No shell."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
from contextlib import suppress

from llmtop.clock import Clock
from llmtop.delivery.settings import SinkSettings
from llmtop.delivery.sink import NotDelivered
from llmtop.rules.alert import Alert
from llmtop.rules.entry import alert_entry

KEPT_BYTES = 4096
"""Of what it prints, the end: only its last line is shown, if it fails."""
SHOWN_CHARS = 120
LOOK_SECONDS = 0.05
"""Between looks whether a program has ended whose output is still held open by another."""


class Execute:
    """Runs a program."""

    def __init__(self, settings: SinkSettings, clock: Clock) -> None:
        self._command, self._timeout, self._clock = settings.command, settings.timeout, clock

    def check(self) -> str:
        """Return that there is no such program, if there is none."""
        return "" if shutil.which(self._command[0]) else f"{self._command[0]}: no such command"

    def send(self, alert: Alert) -> None:
        """Run it and wait for its end.

        Raises:
            NotDelivered: it could not be run, failed, or took too long and was killed.
        """
        text = json.dumps(alert_entry(alert), allow_nan=False).encode() + b"\n"
        program = self._command[0]
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True, bufsize=0,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise NotDelivered(f"{program}: {why.lower()}") from None
        with process:
            assert process.stdin is not None
            # The text is smaller than an empty pipe, so that this does not block.
            with suppress(OSError):
                process.stdin.write(text)
            process.stdin.close()
            ended = False
            try:
                said, ended = self._read(process)
            finally:
                if not ended:
                    # The end of this block waits for it.
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        if not ended:
            raise NotDelivered(f"{program}: took longer than {self._timeout:g} s")
        if process.returncode:
            lines = said.decode("utf-8", "replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "")
            shown = "".join(c for c in last.strip() if c.isprintable())[:SHOWN_CHARS]
            raise NotDelivered(f"{program}: exit code {process.returncode}"
                               f"{': ' if shown else ''}{shown}")

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bool]:
        """Read what it prints until it ends; return the end of it, and whether it ended in time."""
        assert process.stdout is not None
        fd, kept, is_open = process.stdout.fileno(), b"", True
        deadline = self._clock.monotonic() + self._timeout
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while (left := deadline - self._clock.monotonic()) > 0:
            pause = min(left, LOOK_SECONDS)
            ended = process.poll() is not None
            ready = is_open and bool(poll.poll(0 if ended else pause * 1000))
            if ready:
                part = os.read(fd, 1 << 16)
                is_open = bool(part)
                kept = (kept + part)[-KEPT_BYTES:]
            elif ended:
                return kept, True
            elif not is_open:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(pause)
        return kept, process.poll() is not None
