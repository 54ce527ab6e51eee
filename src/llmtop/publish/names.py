"""The series of one session: name as logged -> sid, and what DEFS says of each."""

from __future__ import annotations

from enum import Enum
from typing import Any

from llmtop.publish.inbox import Inbox
from llmtop.wire import DROPPED_NAME, MAX_SIDS, OVERFLOW_NAME, clean_name

DROPPED_SID = 0
OVERFLOW_SID = 1
MAX_SPELLINGS = 2 * MAX_SIDS
"""Names as logged that are remembered: more than series, as several can mean the same one."""
MAX_SPELLING = 1000
"""Characters of a name as logged that is remembered: five times what is kept of it."""
PRINTABLE = (str, int, float, bytes, Enum)
"""Types of key whose text is cheap; str() of a CUDA tensor would wait for the GPU."""

Definition = tuple[int, str, dict[str, str]]


class Names:
    """Which sid a name has; at most MAX_SIDS of them, the rest are counted in one."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.sids: dict[Any, int] = {}
        """Name as logged, or handle -> sid; looked up for every sample."""
        self._by_name: dict[str, int] = {}
        self.definitions: list[Definition] = []
        """definitions[sid] is what DEFS says of it."""
        for name in (DROPPED_NAME, OVERFLOW_NAME):
            self._add(name, "counter", "")

    def _add(self, name: str, kind: str, unit: str) -> int:
        sid = len(self.definitions)
        meta = {"kind": kind, "unit": unit} if unit else {"kind": kind}
        self.definitions.append((sid, name, meta))
        self._by_name[name] = sid
        return sid

    def find(self, key: Any) -> int | None:
        """Return the sid of a key of log(), OVERFLOW_SID when there is no room, None if no name."""
        if not isinstance(key, PRINTABLE):
            self._inbox.problem(f"a key of type {type(key).__name__} is not a name")
            return None
        return self._find(key, clean_name(key), "gauge", "")

    def find_handle(self, handle: Any) -> int:
        """Return the sid of a bound handle (it has a name, a kind and a unit)."""
        return self._find(handle, handle.name, handle.kind, handle.unit)

    def _find(self, spelling: Any, name: str, kind: str, unit: str) -> int:
        sid = self._by_name.get(name)
        if sid is None:
            if len(self.definitions) >= MAX_SIDS:
                self._inbox.problem(f"more than {MAX_SIDS} names; the rest are only counted", 0)
                return OVERFLOW_SID
            sid = self._add(name, kind, unit)
        elif (known := self.definitions[sid][2]["kind"]) != kind:
            self._inbox.problem(f"{name!r} is used as a {kind} too, but shown as a {known}", 0)
        short = not isinstance(spelling, (str, bytes)) or len(spelling) <= MAX_SPELLING
        if short and len(self.sids) < MAX_SPELLINGS:
            self.sids[spelling] = sid
        return sid

    def is_distribution(self, sid: int) -> bool:
        """Return whether values of `sid` are observations."""
        return self.definitions[sid][2]["kind"] == "distribution"
