"""The terminal's two ends as file descriptors of our own, and silence for everyone else.

Textual draws on stderr and reads stdin, and so does everything else in the process. Here the
screen gets a descriptor of its own; while it is drawn, descriptors 1 and 2 lead nowhere where
they would lead to the screen, so that no library's log line, in Python or in C, can reach it.
"""

from __future__ import annotations

import os
import select
import sys
import termios
from contextlib import suppress
from typing import Any

from llmtop.errors import LlmtopError
from llmtop.ui.terminal.plain import plain_text, unicode_ok

PENDING_BYTES = 1 << 16
"""Characters kept until the writer thread flushes: one full 300x100 screen is about 60 000."""
CONTROLLING_TERMINAL = "/dev/tty"
STDIN, STDOUT, STDERR = 0, 1, 2
LEAVE = "\x1b[?2004l\x1b[?7h\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?2048l"
LEAVE += "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l\x1b[0m"
"""Undoes every mode Textual sets: paste, line wrap, mouse, resize reports, keyboard protocol,
alternate screen, hidden cursor, focus reports, colours."""


class TerminalOutput:
    """The text file Textual's writer thread draws on.

    Counts what is really sent, draws plain characters where the locale is not UTF-8, and goes
    quiet instead of failing once the terminal is gone: an error would end the writer thread, and
    Textual would then wait for ever for room in its queue.
    """

    def __init__(self, fd: int, *, unicode: bool = True) -> None:
        self._fd = fd
        self._unicode = unicode
        self._pending: list[str] = []
        self._pending_size = 0
        self.bytes_written = 0
        self.gone = False

    def write(self, text: str) -> int:
        """Keep `text` until the next flush."""
        self._pending.append(text)
        self._pending_size += len(text)
        if self._pending_size > PENDING_BYTES:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what is pending."""
        text = "".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        if not self._unicode:
            text = plain_text(text)
        data = memoryview(text.encode("utf-8", "replace"))
        while data and not self.gone:
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                select.select((), (self._fd,), ())
                continue
            except OSError:
                self.gone = True
                return
            self.bytes_written += sent
            data = data[sent:]

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Return whether this is a terminal."""
        return os.isatty(self._fd)


class Terminal:
    """The terminal llmtop runs on: where keys come from and where the screen goes.

    Raises:
        LlmtopError: There is no terminal at all.
    """

    def __init__(self) -> None:
        self._opened: list[int] = []
        self.input_fd = STDIN if _is_terminal(STDIN) else self._open(os.O_RDONLY)
        drawn_on = next((fd for fd in (STDERR, STDOUT) if _is_terminal(fd)), None)
        if drawn_on is None:
            self._screen_fd = self._open(os.O_WRONLY)
        else:
            self._screen_fd = os.dup(drawn_on)
            self._opened.append(self._screen_fd)
        self.output = TerminalOutput(self._screen_fd, unicode=unicode_ok())
        self._modes = self._read_modes()
        self._silenced: dict[int, int] = {}
        self.drawing = False

    def _open(self, flags: int) -> int:
        try:
            fd = os.open(CONTROLLING_TERMINAL, flags | os.O_NOCTTY)
        except OSError as error:
            self.close()
            raise LlmtopError(
                "no terminal to draw on; `--once` prints the same as text, `--json` as JSON"
            ) from error
        self._opened.append(fd)
        return fd

    def _read_modes(self) -> list[Any] | None:
        with suppress(termios.error):
            return termios.tcgetattr(self.input_fd)
        return None

    def size(self) -> tuple[int, int] | None:
        """Return (columns, rows), None where the terminal does not know."""
        try:
            columns, rows = os.get_terminal_size(self._screen_fd)
        except OSError:
            return None
        return (columns, rows) if columns > 0 and rows > 0 else None

    def begin(self) -> None:
        """The screen is ours from here on: nobody else's output reaches it."""
        self.drawing = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for fd in (STDOUT, STDERR):
            if fd not in self._silenced and _is_terminal(fd):
                self._silenced[fd] = os.dup(fd)
                os.dup2(nowhere, fd)
        os.close(nowhere)

    def end(self) -> None:
        """The screen is given back: output goes where it did before."""
        self.drawing = False
        for stream in (sys.__stdout__, sys.__stderr__):
            with suppress(OSError, ValueError, AttributeError):
                # What was written while silenced must not appear now.
                stream.flush()  # type: ignore[union-attr]  # None has none: suppressed
        for fd, saved in self._silenced.items():
            os.dup2(saved, fd)
            os.close(saved)
        self._silenced.clear()

    def restore(self) -> None:
        """Bring the terminal back to what it was when this object was made, whatever happened."""
        if self.drawing:
            self.output.write(LEAVE)
            self.output.flush()
            self.end()
        if self._modes is not None:
            with suppress(termios.error):
                termios.tcsetattr(self.input_fd, termios.TCSADRAIN, self._modes)

    def close(self) -> None:
        """Close what was opened; `restore` first."""
        for fd in self._opened:
            with suppress(OSError):
                os.close(fd)
        self._opened.clear()


def _is_terminal(fd: int) -> bool:
    """Return whether `fd` is open and a terminal."""
    try:
        return os.isatty(fd)
    except OSError:
        return False
