"""A session and its monitors: makes and drops links, and ends both."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import Any

import zmq

from llmtop.errors import LlmtopError
from llmtop.publish.link import Link
from llmtop.publish.session import Session

ACTIVE_SECONDS = 0.05
"""Between flushes while there is something to say: 20 Hz is five times what a screen shows."""
IDLE_SECONDS = 0.25
"""Between looks while there is nothing."""
HURRY_SECONDS = 0.005
"""Between flushes while a monitor reads history, or a run is ending."""
END_SECONDS = 0.45
"""For the last samples of a run to reach its monitors; finish() waits half a second in all."""
CUT_SECONDS = 0.2
"""Of these, for telling what will not arrive and how the run ended."""
MIN_FREE_PIPES = 16
"""Pipes (two descriptors each) that must be free: libzmq aborts where it finds none, and the
user's process needs some too. A context and its first connection take eight."""
NO_ENDPOINT = (errno.EINVAL, errno.EPROTONOSUPPORT, errno.ENAMETOOLONG, errno.ENODEV)
"""What libzmq says of an address that will never do; anything else is tried again."""

_context: Any = None


def free_descriptors() -> bool:
    """Return whether 2 * MIN_FREE_PIPES descriptors can still be had."""
    ends: list[int] = []
    try:
        for _ in range(MIN_FREE_PIPES):
            ends.extend(os.pipe())
        return True
    except OSError:
        return False
    finally:
        for end in ends:
            os.close(end)


def forget() -> Any:
    """Drop the context of a parent process; return it, as it must not be collected either."""
    global _context
    inherited, _context = _context, None
    return inherited


def connect(address: str, session: Session) -> Link:
    """Return a link to `address`.

    Raises:
        OSError: there are no descriptors to spare.
        zmq.ZMQError: the address cannot be used.
        LlmtopError: a key is missing.
    """
    global _context
    if not free_descriptors():
        raise OSError("no descriptors to spare")
    if _context is None:
        # Never terminated: that would wait for monitors. It ends with the process.
        _context = zmq.Context()
    return Link(_context, address, session)


class Stream:
    """One session on its way to every monitor there is."""

    def __init__(self, session: Session, endpoint: str | None) -> None:
        """Serve the monitors of this machine, and the one at `endpoint` if there is one."""
        self.session = session
        self._endpoint = endpoint
        self._links: dict[str, Link] = {}
        self._ending: dict[str, str] | None = None
        self._deadline = 0.0
        self._cut = False
        self.ended = threading.Event()

    def end(self, ending: dict[str, str]) -> None:
        """Ask for the end of the stream, from any thread; `ended` is set when it is over."""
        self._deadline = time.monotonic() + END_SECONDS
        self._ending = ending

    def connect(self, paths: frozenset[str]) -> None:
        """Have one link to each live monitor and none to others."""
        wanted = {f"ipc://{path}" for path in paths}
        if self._endpoint:
            wanted.add(self._endpoint)
        for address in set(self._links) - wanted:
            # One whose socket was only cleaned out of /tmp still takes what it is sent.
            if self._links[address].stuck:
                self._links.pop(address).close()
        for address in wanted - set(self._links):
            try:
                self._links[address] = connect(address, self.session)
            except zmq.ZMQError as error:
                if address == self._endpoint and error.errno in NO_ENDPOINT:
                    self._endpoint = None
                    self.session.inbox.problem(f"{address!r} is no endpoint", 0)
            except LlmtopError as error:
                self._endpoint = None
                self.session.inbox.problem(str(error), 0)
            except OSError:
                return

    def suspects(self) -> set[str]:
        """Return the paths of monitors that take nothing: slow, stopped or gone."""
        return {
            address[len("ipc://"):] for address, link in self._links.items()
            if link.stuck and address.startswith("ipc://")
        }  # fmt: skip

    def tick(self, now: float) -> float:
        """Move everything on; return the seconds until the next tick is due."""
        took = self.session.take()
        sent = [link.pump(now) for link in self._links.values()]
        if self._ending is not None:
            return self._end(now, self._ending)
        if any(sent) and any(link.open and link.behind for link in self._links.values()):
            return HURRY_SECONDS
        return ACTIVE_SECONDS if took else IDLE_SECONDS

    def _leave(self, ending: dict[str, str]) -> None:
        try:
            # Imported here, as most of a run's life has no use for it.
            from llmtop.publish.past import leave

            leave(self.session, ending)
        except Exception:  # No import, no memory: whatever it is, the run has to end.
            return

    def _end(self, now: float, ending: dict[str, str]) -> float:
        if now > self._deadline - CUT_SECONDS and not self._cut:
            self._cut = True
            abandoned = self.session.abandon()
            for link in self._links.values():
                link.cut(ending, abandoned)
        for link in self._links.values():
            if self.session.empty:
                link.say_bye(ending)
        done = self.session.empty and all(link.done for link in self._links.values())
        if done or now > self._deadline:
            for link in self._links.values():
                link.close()
            self._links.clear()
            self._leave(ending)
            self.ended.set()
        return HURRY_SECONDS
