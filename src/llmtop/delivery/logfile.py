"""A file of JSON lines, one an alert; opened for each, so that it may be moved away meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path

from llmtop.delivery.settings import SinkSettings
from llmtop.delivery.sink import NotDelivered
from llmtop.rules.alert import Alert
from llmtop.rules.entry import alert_entry


class LogFile:
    """Appends alerts to a file."""

    def __init__(self, settings: SinkSettings) -> None:
        self._path = Path(settings.path).expanduser()

    def check(self) -> str:
        """Return why the file cannot be written, as far as that can be seen without doing so."""
        folder = self._path.parent
        if not folder.is_dir():
            return f"{folder}: no such folder"
        place = self._path if self._path.exists() else folder
        return "" if os.access(place, os.W_OK) else f"{place}: not allowed to write"

    def send(self, alert: Alert) -> None:
        """Append a line.

        Raises:
            NotDelivered: it cannot be written.
        """
        line = json.dumps(alert_entry(alert), allow_nan=False) + "\n"
        try:
            # A pipe that nobody reads must not hold this thread.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(self._path, flags, 0o644), "w", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise NotDelivered(f"{self._path}: {(error.strerror or str(error)).lower()}") from None
