"""A still world: one time zone, one machine, one cost, and no themes of the user's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmtop.ui import cost
from llmtop.ui.panels import welcome
from llmtop.ui.panels.footer import Cost


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(welcome, "host_line", lambda: "box  8 cores  64 GiB")
    monkeypatch.setattr(cost.Meter, "read", lambda self, sent, before: Cost(2.4, 67 << 20, 1600.0))
    yield
    monkeypatch.undo()
    time.tzset()
