"""`llmtop serve`: everything llmtop does without a screen; others attach to it."""

from __future__ import annotations

import argparse
import ipaddress
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from llmtop.cli.say import say
from llmtop.errors import UsageError

if TYPE_CHECKING:
    from llmtop.engine import SourceState
    from llmtop.relay.listener import Listener
    from llmtop.relay.relay import Relay

SCHEME = "tcp://"
BIND_SECONDS = 0.05
"""Between two looks whether one can attach yet."""
WATCH_SECONDS = 0.5
"""Between two looks at how the sources do."""


def run_serve(options: argparse.Namespace) -> int:
    """Serve until interrupted or terminated; return the exit code.

    Raises:
        UsageError: an address cannot be listened at, or must not be without keys.
    """
    from llmtop.cli.kept import keeping
    from llmtop.cli.local import local_sources
    from llmtop.cli.prometheus import exporter
    from llmtop.cli.watch import open_named
    from llmtop.clock import SystemClock
    from llmtop.publish.rendezvous import checked_dir
    from llmtop.relay.listener import Listener
    from llmtop.relay.relay import Relay
    from llmtop.sources.rendezvous import new_socket_path

    clock = SystemClock()
    sources = local_sources(options, clock)
    options.source = options.source[1:]
    if options.source:
        sources += open_named(options)
    here = new_socket_path(checked_dir())
    listeners = [Listener(f"ipc://{here.with_name('serve' + here.name[3:])}", clock=clock)]
    if options.listen:
        listeners.append(_listener(options.listen))
    with _until_told() as stop, exporter(options.prometheus, sources, clock) as page:
        relay = Relay(
            sources, listeners, clock, memory_bytes=options.memory_bytes, jobs=page.jobs
        )
        watcher = threading.Thread(
            target=_watch, args=(relay, listeners, stop, page.notice), daemon=True
        )
        with keeping(options, relay, [*sources, *listeners]):
            watcher.start()
            relay.run(stop)
    return 0


def _listener(address: str) -> Listener:
    """Return what listens at a TCP address, behind keys where others can reach it.

    Raises:
        UsageError: it is no address, it is taken, or there is no key.
    """
    from llmtop import keys
    from llmtop.clock import SystemClock
    from llmtop.errors import ConfigError
    from llmtop.relay.listener import Listener
    from llmtop.relay.zap import Guard

    host, port = parse_address(address)
    guard = None
    if not is_loopback(host):
        try:
            guard = Guard(keys.own_pair())
        except ConfigError as error:
            raise UsageError(
                f"--listen: others can reach {address}, so it needs keys; {error}"
            ) from None
    host = "0.0.0.0" if host == "*" else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UsageError(f"--listen: {address}: {error.strerror or error}") from None
    shown = f"[{host}]" if ":" in host else host
    return Listener(f"{SCHEME}{shown}:{port}", clock=SystemClock(), guard=guard)


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of "tcp://host:port".

    Raises:
        UsageError: it is none.
    """
    host, mark, port = address.removeprefix(SCHEME).rpartition(":")
    good = address.startswith(SCHEME) and mark and host and port.isdecimal() and len(port) < 6
    if not good or not 0 < int(port) < 65536:
        raise UsageError(f"--listen: {address!r} is no address; write tcp://127.0.0.1:7788")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def announcement(listeners: list[Listener]) -> Iterator[str]:
    """Yield how to attach and how to publish, ready to paste."""
    from llmtop import keys

    yield "llmtop serve: attach with"
    remote: list[str] = []
    for listener in listeners:
        address = listener.address
        if address.startswith(SCHEME):
            host, port = parse_address(address)
            if host in ("0.0.0.0", "::"):
                address = f"{SCHEME}{os.uname().nodename}:{port}"
            if listener.guarded:
                address += keys.MARK + keys.own_pair().public
            remote.append(address)
        yield f"  llmtop {shlex.quote(address)}"
    for address in remote:
        yield "publish to it from elsewhere with"
        yield f"  LLMTOP_ENDPOINT={shlex.quote(address)} python train.py"
    if any(listener.guarded for listener in listeners):
        yield "let another user or machine in (its own key: llmtop keys list, there)"
        yield "  llmtop keys allow KEY NAME"


def bound(
    listeners: Sequence[Listener], states: Sequence[SourceState]
) -> list[Listener] | None:
    """Return the listeners that one can attach to, None as long as one more may come."""
    failed = {one.name for one in states if one.state in ("lost", "retrying")}
    if any(not one.listening.is_set() and one.name not in failed for one in listeners):
        return None
    return [one for one in listeners if one.listening.is_set()] or None


def _announce(listeners: list[Listener], notice: str) -> None:
    # Whoever reads may have left.
    with suppress(OSError):
        for line in (*announcement(listeners), *filter(None, [notice])):
            print(line)  # noqa: T201
        sys.stdout.flush()


def _watch(
    relay: Relay, listeners: Sequence[Listener], stop: threading.Event, notice: str
) -> None:
    """Say how to attach once one can, and on stderr when a source is lost and when it is back."""
    told: dict[int, str] = {}
    announced = False
    while not stop.wait(WATCH_SECONDS if announced else BIND_SECONDS):
        if not announced and (ready := bound(listeners, relay.engine.source_states)):
            announced = True
            _announce(ready, notice)
        for place, source in enumerate(relay.engine.source_states):
            now = source.reason if source.state in ("lost", "retrying") else ""
            if now != told.get(place, ""):
                told[place] = now
                say(f"{source.name}: {now or 'ok again'}", who="llmtop serve")


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """Yield an event that SIGINT, SIGTERM and SIGHUP set; under nohup, one is ignored."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    taken = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in taken}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
