"""What belongs to the whole process: its thread, and what happens at fork and at exit."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from llmtop.publish import environment, tensors
from llmtop.publish.control import Control
from llmtop.publish.inbox import Inbox

MAX_RUNS = 16
"""Runs of one process that are open at once; the oldest is finished when there are more."""
FINISH_SECONDS = 0.5
"""How long finish() waits for the last samples to arrive."""

LAST_FINALIZER = -100
"""multiprocessing's order, highest first; its own run before and may still log."""

lock = threading.RLock()
"""Held while a session is opened."""
_drain: Any = None
_exit_pid = 0
_is_told = False
_inherited: list[Any] = []
"""What a forked child got from its parent: kept, since its destructors would close it."""


def publish(
    inbox: Inbox, about: dict[str, Any], endpoint: str | None, control: Control | None = None
) -> Any:
    """Open a session for `inbox` and let calls in; return its stream, None if it cannot be now.

    The caller holds `lock`. pyzmq is imported here, in the thread of the caller: a fork while
    another thread imports would leave the child with half a module.
    """
    global _drain
    try:
        from llmtop.publish.drain import Drain
        from llmtop.publish.session import Session
        from llmtop.publish.stream import Stream

        if _drain is None:
            _drain = Drain()
        open_streams = _drain.streams
        if len(open_streams) >= MAX_RUNS:
            finish(open_streams[0], {"reason": "finished", "text": "too many runs are open"})
        stream = Stream(Session(inbox, about, control), endpoint)
        _drain.add(stream)
        _finish_at_exit()
        inbox.open()
    except ImportError as error:
        # What cannot be imported today cannot be in a second, unless descriptors had run out.
        if environment.has_descriptors():
            inbox.close("off")
            _tell_once(f"llmtop: nothing is published: {environment.describe_exception(error)}")
        return None
    except Exception:  # No threads, descriptors or memory: what it is, the caller retries.
        return None
    else:
        return stream


def _tell_once(text: str) -> None:
    """Say on stderr what no monitor can be told."""
    global _is_told
    if not _is_told:
        _is_told = True
        with suppress(Exception):  # It may be closed, or be anything that the user put there.
            print(text, file=sys.stderr)  # noqa: T201


def finish(stream: Any, ending: dict[str, str]) -> None:
    """End `stream` and wait, half a second at most, until its monitors have got everything."""
    stream.session.inbox.close("finished")
    stream.end(ending)
    if _drain is not None:
        _drain.wake()
    stream.ended.wait(FINISH_SECONDS)


def _finish_at_exit() -> None:
    global _exit_pid
    # multiprocessing clears the exit functions of a forked child before it starts.
    if _exit_pid != os.getpid():
        _exit_pid = os.getpid()
        atexit.register(_at_exit)
        _finish_with_worker()


def _finish_with_worker() -> None:
    """Have a worker of multiprocessing say goodbye too: a forked one leaves by os._exit."""
    known = sys.modules.get("multiprocessing.process")
    if known is None:
        return
    unpickling = getattr(known.current_process(), "_inheriting", False)
    if unpickling or known.parent_process() is not None:
        from multiprocessing import util

        util.Finalize(None, _at_exit, exitpriority=LAST_FINALIZER)
        if unpickling:
            # A spawned worker is given its run before it begins, and forgets its finalizers then.
            util.register_after_fork(_at_exit, lambda _: _finish_with_worker())


def _at_exit() -> None:
    """End every stream, and tell what is known of why.

    That is the exception the interpreter printed. Of sys.exit(3) outside a `with run:` block it
    keeps nothing: SystemExit is cleared before exit functions run, without any hook being called,
    so that such a run is told as finished. Wrapping sys.exit would change the user's process, and
    miss `raise SystemExit`.
    """
    from llmtop.publish.session import ending

    error = environment.last_exception()
    if error is None or environment.is_good_exit(error):
        said = ending("finished")
    else:
        said = ending("failed", environment.describe_exception(error))
    streams = _drain.streams if _drain is not None else ()
    for stream in streams:
        stream.session.inbox.close("finished")
        stream.end(said)
    if streams:
        _drain.wake()
    deadline = time.monotonic() + FINISH_SECONDS
    for stream in streams:
        stream.ended.wait(max(0.0, deadline - time.monotonic()))


def _after_fork() -> None:
    """Drop what is the parent's: nothing is closed, ended or started here."""
    global lock, _drain
    lock = threading.RLock()
    tensors.forget()
    if _drain is not None:
        from llmtop.publish import stream

        for one in _drain.streams:
            one.session.inbox.after_fork()
        _inherited.append((_drain, stream.forget()))
        _drain = None


os.register_at_fork(after_in_child=_after_fork)
