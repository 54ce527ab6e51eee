"""A program in a pseudo-terminal, and the screen it draws, as pyte understands it.

The terminal answers no queries. Every wait has a deadline and fails with the screen's text.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

import psutil
import pyte

DEADLINE = 40.0
"""Seconds until a wait fails: a loaded CI machine takes 5 to start Python with Textual."""

# What pyte 0.8 would print instead of ignoring: private parameters "<=>" and mode queries.
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<=>][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p")
_UNFINISHED = re.compile(rb"\x1b(?:\[[<=>?0-9;$]*)?\Z")


class Program:
    """A command running in a pseudo-terminal of `columns` x `rows` cells."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str | None] | None = None,
        stderr: Path | None = None,
        stdout: Path | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start `command`; `env` is laid over a plain environment, None removes a variable."""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        """Everything the program has sent so far."""
        self._tail = b""
        self.fd, follower = pty.openpty()
        self._set_size(columns, rows)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "TEXTUAL_ANIMATIONS": "none",
        }
        for name in ("NO_COLOR", "LC_ALL", "COLUMNS", "LINES", "TERM_PROGRAM", "TMUX"):
            environment.pop(name, None)
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

        with ExitStack() as files:
            self.process = subprocess.Popen(
                command,
                stdin=follower,
                stdout=files.enter_context(stdout.open("wb")) if stdout else follower,
                stderr=files.enter_context(stderr.open("wb")) if stderr else follower,
                env=environment,
                cwd=cwd,
                pass_fds=(follower,),
                preexec_fn=take_terminal,
            )
        os.close(follower)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self.fd)

    def send(self, keys: str | bytes) -> None:
        """Type `keys`."""
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size, as a window does: the program gets SIGWINCH."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.fd)

    def pump(self, seconds: float = 0.0) -> bool:
        """Take in what the program has sent within `seconds`; return whether there was any."""
        ready, _, _ = select.select((self.fd,), (), (), seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.raw += data
        data = _UNKNOWN_TO_PYTE.sub(b"", self._tail + data)
        unfinished = _UNFINISHED.search(data)
        self._tail = unfinished.group() if unfinished else b""
        self._stream.feed(data[: len(data) - len(self._tail)])
        return bool(data)

    def wait_for(self, condition: Callable[[], object], deadline: float = DEADLINE) -> None:
        """Take in output until `condition()` holds."""
        end = time.monotonic() + deadline
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{condition} never held; the screen:\n{self.text}")
            if not self.pump(0.05) and self.process.poll() is not None and not condition():
                raise AssertionError(
                    f"ended with {self.process.returncode} first; the screen:\n{self.text}\n"
                    f"{bytes(self.raw[-2000:])!r}"
                )

    def wait_for_text(self, text: str, deadline: float = DEADLINE) -> None:
        """Take in output until `text` stands somewhere on the screen."""
        self.wait_for(lambda: text in self.text, deadline)

    def wait_until_stopped(self) -> None:
        """Take in output until the program has been suspended and the screen is left."""
        status = psutil.Process(self.process.pid).status
        self.wait_for(lambda: status() == psutil.STATUS_STOPPED)
        while self.pump():
            pass
        assert not self.in_alternate_screen

    def settle(self, quiet: float = 0.5, deadline: float = DEADLINE) -> None:
        """Take in output until none has come for `quiet` seconds."""
        end = time.monotonic() + deadline
        while self.pump(quiet):
            if time.monotonic() > end:
                raise AssertionError(f"never quiet; the screen:\n{self.text}")

    def exit_code(self, deadline: float = DEADLINE) -> int:
        """Wait for the program's end; negative is a signal, as subprocess has it."""
        end = time.monotonic() + deadline
        while self.process.poll() is None:
            self.pump(0.05)
            if time.monotonic() > end:
                raise AssertionError(f"never ended; the screen:\n{self.text}")
        while self.pump():
            pass
        return self.process.returncode

    @property
    def text(self) -> str:
        """The screen's text."""
        return "\n".join(self.screen.display)

    def cells(self) -> list[list[tuple[object, ...]]]:
        """Return what each cell shows, less what a space does not show."""
        rows = []
        for y in range(self.screen.lines):
            row = []
            for x in range(self.screen.columns):
                cell = self.screen.buffer[y][x]
                if cell.data == " " and not cell.reverse and not cell.underscore:
                    row.append((" ", cell.bg, cell.strikethrough))
                else:
                    row.append(tuple(cell))
            rows.append(row)
        return rows

    @property
    def in_alternate_screen(self) -> bool:
        """Whether the program has taken the alternate screen and not left it."""
        return self.raw.rfind(b"\x1b[?1049h") > self.raw.rfind(b"\x1b[?1049l")

    @property
    def after_screen(self) -> str:
        """The text sent after the alternate screen was left, without escape sequences."""
        left = max(0, self.raw.rfind(b"\x1b[?1049l"))
        rest = bytes(self.raw[left:]).decode("utf-8", "replace")
        return re.sub(r"\x1b\[[<=>?0-9;]*[a-zA-Z]", "", rest)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def python(code: str, **options: object) -> Program:
    """Run Python `code` as a program in a pseudo-terminal."""
    return Program([sys.executable, "-c", code], **options)  # type: ignore[arg-type]
