"""The publisher's fixtures, for what is built on it; each test skips without its framework."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

PUBLISH = Path(__file__).parent.parent / "publish"
sys.path.append(str(PUBLISH))
_spec = spec_from_file_location("publish_fixtures", PUBLISH / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_fixtures = module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
rendezvous = _fixtures.rendezvous


@pytest.fixture
def told(rendezvous: Path) -> Callable[..., Any]:
    """Return a function that runs `work` in a thread, and returns what a monitor heard by BYE."""
    from listener import Listener

    def tell(work: Callable[[], object], runs: int = 1) -> Any:
        failed: list[BaseException] = []

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)

        with Listener(rendezvous) as hub:
            thread = threading.Thread(target=guarded)
            thread.start()
            hub.until(
                lambda: failed
                or (len(hub.sessions) == runs and all(one.bye for one in hub.sessions.values())),
                50,
            )
            thread.join()
        if failed:
            raise failed[0]
        heard = list(hub.sessions.values())
        return heard[0] if runs == 1 else heard

    return tell
