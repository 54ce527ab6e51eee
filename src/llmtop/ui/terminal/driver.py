"""Textual's driver for Unix terminals, on a terminal of our choice and safe against its whims."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from llmtop.ui.terminal.files import Terminal
from llmtop.ui.terminal.keyboard import EndOfInputError, guard_decoder

HANGUP_CODE = 129
"""Exit code after the terminal is gone: 128 + SIGHUP, as shells have it."""


class TerminalDriver(LinuxDriver):
    """Draws on `Terminal`, decodes input that cannot fail, and says when the screen is anew."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._terminal: Terminal = getattr(app, "terminal", None) or Terminal()
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = self._terminal.output  # type: ignore[assignment]  # all it uses of a file
        self.fileno = self._terminal.input_fd
        self.input_tty = True
        self._was_started = False

    @property
    def bytes_written(self) -> int:
        """Bytes sent to the terminal since the start."""
        return self._terminal.output.bytes_written

    def write(self, data: str) -> None:
        """Queue `data` for the terminal; drop it where nobody takes from the queue any more."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            super().write(data)

    def start_application_mode(self) -> None:
        """Take the terminal; after a suspend also have everything written again."""
        self._terminal.begin()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
        if self._was_started:
            # The alternate screen is entered empty, and Textual writes only what changes.
            self._app.call_later(getattr(self._app, "repaint", self._app.refresh))
        self._was_started = True

    def close(self) -> None:
        """Write what is left, then let others write again."""
        super().close()
        if self._terminal.drawing:
            self._terminal.end()

    def resume_application_mode(self) -> None:
        """Take the terminal again, also after a stop that nobody announced (kill -STOP)."""
        if self._terminal.drawing:
            self.suspend_application_mode()
        super().resume_application_mode()

    def run_input_thread(self) -> None:
        """Read keys and mouse until the app ends."""
        undo = guard_decoder(linux_driver)
        try:
            super().run_input_thread()
        finally:
            if undo is not None:
                undo()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except (EndOfInputError, OSError):
            self._app.call_later(self._app.exit, return_code=HANGUP_CODE)
        except Exception as error:
            self._app.call_later(_fail, error)

    def _get_terminal_size(self) -> tuple[int, int]:
        return self._terminal.size() or super()._get_terminal_size()


def _fail(error: Exception) -> None:
    """Raise in the app's own thread what went wrong in the input thread."""
    raise error
